"""What data sets of `tf.data` give after an error, and which errors: TensorFlow's."""

import gzip
import io
import traceback

import numpy as np
import pytest

from keraslike import tf

D = tf.data.Dataset
R = D.range


def checked(x):
    tf.debugging.assert_none_equal(x % 4, tf.constant(2, tf.int64))
    return x


def broken(count=8):
    return R(count).map(checked)


def plain(element):
    if isinstance(element, tuple):
        return tuple(map(plain, element))
    value = element.numpy()
    return value.tolist() if hasattr(value, "tolist") else value


def outcomes(dataset, most=12):
    """The elements, and "E" in the place of an error."""
    found, elements = [], iter(dataset)
    for _ in range(most):
        try:
            found.append(plain(next(elements)))
        except StopIteration:
            break
        except Exception:
            found.append("E")
    return found


def cleared(dataset):
    """The elements, where the frames of an error are cleared, as `assertRaises` clears them."""
    found, elements = [], iter(dataset)
    while True:
        try:
            found.append(plain(next(elements)))
        except StopIteration:
            return found
        except Exception as error:
            traceback.clear_frames(error.__traceback__)


@pytest.mark.parametrize(
    "make",
    [
        lambda: broken(),
        lambda: broken().prefetch(2),
        lambda: broken().map(lambda x: x, num_parallel_calls=2),
        lambda: broken().interleave(D.from_tensors, 2),
        lambda: broken().interleave(D.from_tensors, 2, num_parallel_calls=2),
        lambda: broken().flat_map(D.from_tensors),
        lambda: broken().shuffle(1).repeat(1).cache().filter(lambda x: x >= 0),
        lambda: R(8).flat_map(lambda x: D.from_tensors(checked(x))),
        lambda: broken().batch(1).unbatch(),
        lambda: broken().concatenate(R(0)).window(1).flat_map(lambda inner: inner),
    ],
)
def test_iteration_goes_on_after_the_frames_of_an_error_were_cleared(make):
    assert cleared(make()) == [0, 1, 3, 4, 5, 7]


ZERO = tf.constant(0, tf.int64)
# As TensorFlow 2.21 gives them.
PROGRAMS = {
    "map": (broken, [0, 1, "E", 3, 4, 5, "E", 7]),
    "batch": (lambda: broken().batch(3), ["E", [3, 4, 5], "E"]),
    "shuffled": (lambda: R(8).shuffle(1).map(checked).batch(3), ["E", [3, 4, 5], "E"]),
    "padded": (lambda: broken().padded_batch(3), ["E", [3, 4, 5], "E", [7]]),
    "filter": (lambda: broken().filter(lambda x: x != 3), [0, 1, "E", 4, 5, "E", 7]),
    "predicate": (lambda: R(4).filter(lambda x: checked(x) < 5), [0, 1, "E", 3]),
    "flat_map": (lambda: R(2).flat_map(lambda x: broken(4)), [0, 1, "E", 3] * 2),
    "interleave": (lambda: R(2).interleave(lambda x: broken(4), 2), [0, 0, 1, 1, "E", 3, "E", 3]),
    "zip": (lambda: D.zip(broken(4), R(4)), [(0, 0), (1, 1), "E", (3, 3)]),
    "enumerate": (lambda: broken(4).enumerate(), [(0, 0), (1, 1), "E", (3, 3)]),
    "scan": (
        lambda: broken().scan(ZERO, lambda s, x: (s + x, s + x)),
        [0, 1, "E", 4, 8, 13, "E", 20],
    ),
    "scan_func": (lambda: R(4).scan(ZERO, lambda s, x: (s + x, checked(x))), [0, 1, "E", 3]),
    "window": (
        lambda: broken().window(3, 1).flat_map(lambda w: w.batch(3)),
        ["E", "E", "E", [3, 4, 5], "E", "E", "E", [7]],
    ),
    "unbatch": (lambda: broken().batch(2).unbatch(), [0, 1, "E", 4, 5, "E"]),
    "rebatch": (lambda: broken().batch(2).rebatch(3), ["E", "E"]),
    "grouped": (
        lambda: broken().group_by_window(lambda x: x % 2, lambda k, w: w.batch(2), 2),
        ["E", [1, 3], [0, 4], "E", [5, 7]],
    ),
    "buckets": (
        lambda: broken().bucket_by_sequence_length(lambda x: 1, [5], [2, 2], no_padding=True),
        [[0, 1], "E", [3, 4], "E", [5, 7]],
    ),
    "repeat": (lambda: broken(4).repeat(2), [0, 1, "E", 3] * 2),
    "take": (lambda: broken().take(3), [0, 1, "E", 3]),
    "shard": (lambda: broken().shard(2, 0), [0, "E", 3, 5, "E"]),
    "concatenate": (lambda: broken(4).concatenate(broken(4)), [0, 1, "E", 3] * 2),
    "cache": (lambda: broken().cache(), [0, 1, "E", 3, 4, 5, "E", 7]),
    "prefetch": (lambda: broken().prefetch(2), [0, 1, "E", 3, 4, 5, "E", 7]),
    "take_while": (lambda: broken().take_while(lambda x: x < 5), [0, 1, "E", 3, 4]),
    "unique": (lambda: broken().unique(), [0, 1, "E", 3, 4, 5, "E", 7]),
    "threads": (lambda: R(8).map(checked, 2), [0, 1, "E", 3, 4, 5, "E", 7]),
    "tuned": (lambda: R(8).map(checked, tf.data.AUTOTUNE), [0, 1, "E", 3, 4, 5, "E", 7]),
    "choose": (
        lambda: D.choose_from_datasets([broken(), R(8)], R(8).map(lambda x: x % 2)),
        [0, 0, 1, 1, "E", 2, 3, 3],
    ),
    "generator": (
        lambda: D.from_generator(
            lambda: iter(broken(4)), output_signature=tf.TensorSpec([], tf.int64)
        ),
        [0, 1, "E", 3],
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_iteration_goes_on_after_an_error(name):
    make, expected = PROGRAMS[name]
    assert outcomes(make()) == expected
    assert outcomes(make().ignore_errors()) == [x for x in expected if x != "E"]


def test_what_is_shuffled_or_kept_loses_only_what_raised(tmp_path):
    nothing = R(2, 3).map(checked).cache().shuffle(9).repeat()
    assert outcomes(nothing) == ["E"]
    assert sorted(outcomes(broken().shuffle(3, seed=1).ignore_errors())) == [0, 1, 3, 4, 5, 7]
    kept = broken().cache().ignore_errors()
    assert outcomes(kept) == outcomes(kept) == [0, 1, 3, 4, 5, 7]
    for path in ("", str(tmp_path / "kept")):
        cached = broken(4).cache(path)
        assert [outcomes(cached) for _ in range(2)] == [[0, 1, "E", 3], [0, 1, 3]]  # TensorFlow's


def test_the_next_file_is_read_after_a_damaged_one(tmp_path):
    good, bad, cut = (str(tmp_path / name) for name in ("good", "bad", "cut"))
    with tf.io.TFRecordWriter(good) as writer:
        for size in (3, 4, 5):
            writer.write(b"x" * size)
    with open(good, "rb") as file:
        data = file.read()
    with open(bad, "wb") as file:
        file.write(data[:-3] + bytes([data[-3] ^ 255]) + data[-2:])
    with open(cut, "wb") as file:
        file.write(data[:-3])
    whole = [b"xxx", b"xxxx", b"xxxxx"]
    for broken_file in (bad, cut):
        records = tf.data.TFRecordDataset([broken_file, good])
        assert outcomes(records) == [b"xxx", b"xxxx", "E", *whole]
        with pytest.raises(tf.errors.DataLossError):
            list(records)
    missing = tf.data.TextLineDataset([str(tmp_path / "none"), good])
    with pytest.raises(tf.errors.NotFoundError, match="No such file"):
        next(iter(missing))
    gz = str(tmp_path / "gz")
    with open(gz, "wb") as file:
        file.write(gzip.compress(b"a\nb" * 99)[:20])
    with pytest.raises(tf.errors.DataLossError, match="cannot be decompressed"):
        list(tf.data.TextLineDataset(gz, "GZIP"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="not records of 4 bytes"):
        tf.io.write_file(str(tmp_path / "fixed"), "abcdef")
        list(tf.data.FixedLengthRecordDataset(str(tmp_path / "fixed"), 4))


CSV = {
    '"a""b",c': [(b'a"b', b"c")],
    '"a\nb",c\n': [(b"a\nb", b"c")],
    'a"b,c\nd,e\n': ["E", (b"d", b"e")],
    'a,b"\nc,d': ["E", (b"c", b"d")],
    '"a,b\nc,d\n': ["E"],
    "a,b\n\nc,d\n": [(b"a", b"b"), "E", (b"c", b"d")],
    "a,b\r\nc,d": [(b"a", b"b"), (b"c", b"d")],
    "a,b\rc,d": [(b"a", b"b"), (b"c", b"d")],
    "a,b,c\nd,e": ["E", (b"d", b"e")],
}


@pytest.mark.parametrize("text", CSV)
def test_rows_that_are_not_well_formed(text, tmp_path):
    path = str(tmp_path / "table.csv")
    tf.io.write_file(path, text)
    assert outcomes(tf.data.experimental.CsvDataset(path, [tf.string] * 2)) == CSV[text]


def test_a_table_without_the_rows_that_raise(tmp_path):
    path = str(tmp_path / "bad.csv")
    tf.io.write_file(path, "a,b\n1,2\nx,4\n5,6\n7\n8,9,10\n11,12\n")
    batches = tf.data.experimental.make_csv_dataset(
        path,
        2,
        None,
        [tf.int32, tf.int32],
        num_epochs=1,
        shuffle=False,
        ignore_errors=True,
    )
    found = [{k: v.numpy().tolist() for k, v in batch.items()} for batch in batches]
    assert found == [{"a": [1, 5], "b": [2, 6]}, {"a": [11], "b": [12]}]


@pytest.mark.parametrize(
    "text, quotes",
    [("a\nb", True), ("a\n", False), ('a"b', True), ('"a', True), ('"a"b', True), ("", True)],
)
def test_a_record_of_csv_that_is_not_well_formed(text, quotes):
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.io.decode_csv(text, [[""]], use_quote_delim=quotes)


def test_numbers_in_the_notation_of_c():
    numbers = tf.io.decode_csv("0x1f,0X1p3,-.5e1,inf", [[0.0]] * 4)
    assert [n.numpy() for n in numbers] == [31.0, 8.0, -5.0, float("inf")]
    for text, default in (("1_0", 0), ("1_0", 0.0), ("٣", 0), ("0x1f", 0)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="is not a valid"):
            tf.io.decode_csv(text, [[default]])


def test_arguments_that_do_not_fit(tmp_path):
    path = str(tmp_path / "table.csv")
    tf.io.write_file(path, "1,2")
    csv = tf.data.experimental.CsvDataset
    wrong = tf.errors.InvalidArgumentError
    for make in (
        lambda: csv(path, [tf.int32] * 2, select_cols=[1, 0]),
        lambda: csv(path, [tf.int32] * 2, select_cols=[1]),
        lambda: csv(path, [tf.int32] * 2, field_delim=";;"),
        lambda: R(3).map(lambda x: x, 0),
        lambda: R(3).interleave(R, 0),
        lambda: R(3).interleave(R, 2, num_parallel_calls=0),
        lambda: R(3).shard(0, 0),
        lambda: R(3).prefetch(-5),
        lambda: list(R(3).group_by_window(lambda x: x, lambda k, w: w, 0)),
    ):
        with pytest.raises(wrong):
            make()
    with pytest.raises(tf.errors.DataLossError):
        list(R(3).map(tf.range).padded_batch(3, [1]))


def test_sizes_of_batches_in_turn_and_numbers_of_rows():
    batches = R(6).batch(4).rebatch([0, 4])
    assert [b.numpy().tolist() for b in batches] == [[], [0, 1, 2, 3], [], [4, 5]]
    pairs = R(2).batch(2, drop_remainder=True)
    assert [b.numpy().tolist() for b in pairs.rebatch([1, 0])] == [[0], [], [1], []]
    assert pairs.rebatch([1, 1]).element_spec.shape == [1]
    for turns, drop in (([0, 1], False), ([0, 2], True)):
        empty = R(0).batch(2).rebatch(turns, drop_remainder=drop)
        assert [b.numpy().tolist() for b in empty] == [[]]
    assert list(R(0).batch(2).rebatch([1, 0])) == []
    assert pairs.rebatch(3).element_spec.shape == [None]
    assert len(D.from_tensors(([1, 2], [[3], [4]])).unbatch()) == 2
    assert len(R(6).batch(2, drop_remainder=True).unbatch()) == 6


X = tf.constant([1, 2, 3])
M = tf.constant([[1, 2, 3], [4, 5, 6]])


def branched(n):
    if n > 2:
        return X[n]
    return X[0]


def as_int(n):
    return tf.cast(n, tf.int32)


# In functions that are traced, too: what TensorFlow gives for 0 to 5.
TRACED = {
    "gather": (lambda n: tf.gather(X, n), [1, 2, 3, "E", "E", "E"]),
    "gather_nd": (lambda n: tf.gather_nd(M, [[n, 0]]), [[1], [4], "E", "E", "E", "E"]),
    "batch_dims": (
        lambda n: tf.gather(M, [[n], [0]], batch_dims=1),
        [[[1], [4]], [[2], [4]], [[3], [4]], "E", "E", "E"],
    ),
    "index": (lambda n: X[n], [1, 2, 3, "E", "E", "E"]),
    "negative": (lambda n: M[..., -n], [[1, 4], [3, 6], [2, 5], [1, 4], "E", "E"]),
    "floordiv": (lambda n: 6 // (n - 2), [-3, -6, "E", 6, 3, 2]),
    "mod": (lambda n: 6 % (n - 2), [0, 0, "E", 0, 0, 0]),
    "truncatediv": (lambda n: tf.truncatediv(6 * n, n - 2), [0, -6, "E", 18, 12, 10]),
    "segments": (
        lambda n: tf.math.unsorted_segment_sum(X, [0, n, 1], 3),
        [[3, 3, 0], [1, 5, 0], [1, 3, 2], "E", "E", "E"],
    ),
    "reversed": (
        lambda n: tf.reverse_sequence([[1, 2, 3]], [n], 1),
        [[[1, 2, 3]], [[1, 2, 3]], [[2, 1, 3]], [[3, 2, 1]], "E", "E"],
    ),
    "array": (
        lambda n: tf.TensorArray(tf.int64, 3).write(as_int(n), n).stack(),
        [[0, 0, 0], [0, 1, 0], [0, 0, 2], "E", "E", "E"],
    ),
    "element": (
        lambda n: tf.TensorArray(tf.int64, 3).unstack([n, n, n]).read(as_int(n)),
        [0, 1, 2, "E", "E", "E"],
    ),
    "drawn": (
        lambda n: tf.random.uniform([], 0, as_int(n), tf.int32) * 0,
        ["E", 0, 0, 0, 0, 0],
    ),
    "branch": (
        lambda n: tf.cond(n > 2, lambda: 10 // (n - 4), lambda: n),
        [0, 1, 2, -10, "E", 10],
    ),
    "statement": (branched, [1, 1, 1, "E", "E", "E"]),
    "numerics": (
        lambda n: tf.debugging.check_numerics(1.0 / tf.cast(n - 1, tf.float32), "") * 0.0,
        [0.0, "E", 0.0, 0.0, 0.0, 0.0],
    ),
}


@pytest.mark.parametrize("name", TRACED)
def test_traced_functions_raise_for_values_that_do_not_fit(name):
    function, expected = TRACED[name]
    assert outcomes(R(6).map(function)) == expected
    found, elements = [], iter(R(6).map(function))
    for _ in expected:
        try:
            found.append(plain(next(elements)))
        except tf.errors.OpError:
            found.append("E")
    assert found == expected


def test_batches_of_mapped_elements_raise_for_one_that_does_not_fit():
    batches = R(16).map(lambda n: tf.gather(tf.range(9), n)).batch(5)
    assert outcomes(batches) == [[0, 1, 2, 3, 4], "E", "E", "E"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="is not in"):
        list(batches)
    assert plain(X[tf.constant(-1)]) == 3
    with pytest.raises(tf.errors.InvalidArgumentError, match="out of bounds"):
        X[tf.constant(3)]


def kept(dataset, path):
    dataset.save(path)
    return tf.data.Dataset.load(path)


KEPT = {
    "ragged": lambda: tf.ragged.constant([[1], [2, 3], []]),
    "nested": lambda: tf.ragged.constant([[["a"], []], [["b", "c"]]]),
    "sparse": lambda: tf.sparse.from_dense([[1.0, 0.0], [0.0, 2.0]]),
}


@pytest.mark.parametrize("name", KEPT)
def test_elements_of_any_kind_are_kept_in_files(name, tmp_path):
    dataset = D.from_tensor_slices(KEPT[name]())

    def shown(elements):
        return [repr(getattr(e, "indices", e)) + repr(getattr(e, "values", "")) for e in elements]

    expected = shown(dataset)
    loaded = kept(dataset, str(tmp_path / "saved"))
    assert shown(loaded) == expected and loaded.element_spec == dataset.element_spec
    cached = dataset.cache(str(tmp_path / "cache"))
    assert shown(cached) == shown(cached) == expected
    snapshot = dataset.snapshot(str(tmp_path / "snapshot"))
    assert shown(snapshot) == shown(snapshot) == expected


def test_structures_of_elements():
    pairs = D.from_tensor_slices(([1, 2], None))
    assert [(int(a), b) for a, b in pairs] == [(1, None), (2, None)]
    assert repr(pairs.element_spec[1]) == "NoneTensorSpec()"
    with pytest.raises(TypeError, match="Incompatible"):
        R(2).concatenate(D.zip(R(2), R(2)))
    with pytest.raises(TypeError, match="Incompatible|one dtype"):
        R(2).concatenate(D.from_tensor_slices(["a"]))
    with pytest.raises(ValueError, match="should not be empty"):
        D.choose_from_datasets([], R(1))
    with pytest.raises(tf.errors.DataLossError, match="row_shape"):
        list(R(4).map(tf.range).apply(tf.data.experimental.dense_to_sparse_batch(2, [2])))
    nothing = iter(R(0)).get_next_as_optional()
    assert not nothing.has_value() and nothing.element_spec == tf.TensorSpec([], tf.int64)
    halves = R(2).map(lambda x: tf.py_function(lambda v: v.numpy() * 2.5, [x], tf.float32))
    assert outcomes(halves) == [0.0, 2.5]
    numbers = D.from_tensor_slices(["x", "y", "1"]).map(tf.strings.to_number)
    assert numbers.element_spec.dtype == tf.float32  # though the first elements raise


def test_files_and_their_errors(tmp_path):
    gfile, path = tf.io.gfile, str(tmp_path / "file")
    with gfile.GFile(path, "w") as file:
        file.write("one\r\ntwo")
    with gfile.GFile(path, "a") as file:
        file.write(b" three")
    assert list(gfile.GFile(path)) == ["one\r\n", "two three"]
    with gfile.GFile(path, "rb") as file:
        file.seek(-5, 2)
        assert (file.read(3), file.tell(), file.size(), file.mode) == (b"thr", 12, 14, "rb")
    assert gfile.stat(path).length == 14 and gfile.stat(str(tmp_path)).is_directory
    assert gfile.join(b"a", b"b") == b"a/b"
    for error, call in (
        (tf.errors.NotFoundError, lambda: gfile.GFile(path + "-").read()),
        (tf.errors.NotFoundError, lambda: gfile.remove(path + "-")),
        (tf.errors.NotFoundError, lambda: tf.io.read_file(path + "-")),
        (tf.errors.NotFoundError, lambda: tf.io.TFRecordWriter(str(tmp_path / "-" / "-"))),
        (tf.errors.AlreadyExistsError, lambda: gfile.copy(path, path)),
        (tf.errors.PermissionDeniedError, lambda: gfile.GFile(path).write("x")),
        (tf.errors.PermissionDeniedError, lambda: gfile.GFile(path, "w").read()),
        (tf.errors.FailedPreconditionError, lambda: gfile.remove(str(tmp_path))),
        (tf.errors.FailedPreconditionError, lambda: tf.io.write_file(str(tmp_path), "x")),
        (tf.errors.InvalidArgumentError, lambda: gfile.GFile(path, "x")),
        (tf.errors.InvalidArgumentError, lambda: tf.io.read_file([path])),
    ):
        with pytest.raises(error):
            call()


class Own(Exception):
    pass


# TensorFlow 2.21's errors for what users' functions raise.
OF_PYTHON = [
    (Own("why"), tf.errors.UnknownError),
    (ValueError("why"), tf.errors.InvalidArgumentError),
    (TypeError("why"), tf.errors.InvalidArgumentError),
    (KeyError("why"), tf.errors.UnknownError),
    (NotImplementedError("why"), tf.errors.UnimplementedError),
    (MemoryError("why"), tf.errors.ResourceExhaustedError),
    (tf.errors.NotFoundError(None, None, "why"), tf.errors.UnknownError),
]


@pytest.mark.parametrize("raised, seen", OF_PYTHON, ids=lambda x: getattr(x, "__name__", ""))
def test_what_users_functions_raise(raised, seen):
    def give(*args):
        yield 1
        raise raised

    def fail(x):
        raise raised

    elements = iter(D.from_generator(give, output_signature=tf.TensorSpec([], tf.int32)))
    assert next(elements).numpy() == 1
    for call in (
        lambda: next(elements),
        lambda: tf.py_function(fail, [1], tf.int32),
        lambda: next(iter(R(2).map(lambda x: tf.numpy_function(fail, [x], tf.int64)))),
    ):
        with pytest.raises(seen, match=f"{type(raised).__name__}.*why") as caught:
            call()
        assert type(caught.value) is seen and caught.value.__cause__ is raised


class _FullDisk(io.BytesIO):
    def write(self, data):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("kind", ["", "ZLIB"])
def test_a_full_disk_is_named(kind, monkeypatch):
    monkeypatch.setattr("keraslike.data.records.open", lambda *_: _FullDisk(), raising=False)
    writer = tf.io.TFRecordWriter("folder/file", kind)
    writer.write(bytes(range(256)))
    with pytest.raises(OSError, match="No space left on device: 'folder/file'"):
        writer.close()
    writer.close()


def test_damaged_directories_of_saved_data_are_named(tmp_path):
    path = str(tmp_path / "saved")
    tf.data.Dataset.range(6).save(path, shard_func=lambda n: n % 2)
    assert sorted(int(n) for n in tf.data.Dataset.load(path)) == [*range(6)]
    assert len(tf.data.Dataset.load(path).skip(4)) == len(list(tf.data.Dataset.load(path).skip(4)))
    (tmp_path / "saved" / "00000001.records").write_bytes(b"")
    with pytest.raises(tf.errors.DataLossError, match="00000001.records ends after 0 of 3"):
        list(tf.data.Dataset.load(path))
    for text in (b"{", b"{}", b"\xff"):
        (tmp_path / "saved" / "dataset.json").write_bytes(text)
        with pytest.raises(ValueError, match="dataset.json is damaged"):
            tf.data.Dataset.load(path)


@pytest.mark.parametrize("given", [1.5, 1.0, [1.5, 2]])
def test_a_generator_of_floats_gives_no_integers(given):
    data = tf.data.Dataset.from_generator(lambda: iter([given]), output_types=tf.int32)
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(data)
    arrays = tf.data.Dataset.from_generator(lambda: [np.asarray(given)], output_types=tf.int32)
    assert next(iter(arrays)).dtype is tf.int32  # arrays are cast, as in TensorFlow
