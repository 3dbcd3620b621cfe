"""`tf.train.Checkpoint`: files are TensorFlow's in both directions."""

import base64
import json
import os

import numpy as np
import pytest

from keraslike import tf
from tests.tf import checkpoint_facts

with open(checkpoint_facts.PATH) as _file:
    FACTS = json.load(_file)


@pytest.fixture
def written(tmp_path):
    for name, data in FACTS["files"].items():
        (tmp_path / name).write_bytes(base64.b64decode(data))
    return str(tmp_path)


def _values(path):
    reader = tf.train.load_checkpoint(path)
    names = [name for name, _ in tf.train.list_variables(path) if name[0] != "_"]
    return {name: reader.get_tensor(name).tolist() for name in names}


def test_a_file_of_tensorflow_fills_the_same_objects(written, tmp_path):
    latest = tf.train.latest_checkpoint(written)
    assert latest == os.path.join(written, "ckpt-1") and _values(latest) == FACTS["values"]
    checkpoint, model = checkpoint_facts.objects(tf)
    status = checkpoint.restore(latest)
    status.assert_consumed()
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    for i, weight in enumerate(model.trainable_weights):
        wanted = FACTS["values"][f"optimizer/_trainable_variables/{i}{suffix}"]
        np.testing.assert_allclose(weight.numpy(), wanted, rtol=1e-6)
    assert int(model.optimizer.iterations.numpy()) == 1
    assert checkpoint.scaled.by[0].numpy().tolist() == [4.0, 5.0]
    # What is written has the same names, values and dtypes.
    path = checkpoint.write(tmp_path / "own")
    assert _values(path) == FACTS["values"]
    own, theirs = map(tf.train.load_checkpoint, (path, latest))
    assert own.get_variable_to_dtype_map() == theirs.get_variable_to_dtype_map()


def test_what_comes_to_be_later_is_filled_then(tmp_path):
    class Net(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = [tf.keras.layers.Dense(4)]
            self.last = tf.keras.layers.Dense(1)

        def call(self, x):
            return self.last(self.hidden[0](x))

    x = np.ones((2, 3), "float32")

    @tf.function
    def train(net, optimizer):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(net(x) ** 2)
        weights = net.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        return loss

    def made():
        net, optimizer = Net(), tf.keras.optimizers.Adam(0.1)
        elements = iter(tf.data.Dataset.range(10).shuffle(5))
        checkpoint = tf.train.Checkpoint(net=net, optimizer=optimizer, elements=elements)
        return checkpoint, net, optimizer, elements

    checkpoint, net, optimizer, elements = made()
    manager = tf.train.CheckpointManager(checkpoint, tmp_path, max_to_keep=2)
    for _ in range(3):
        train(net, optimizer)
        next(elements)
        manager.save()
    assert [os.path.basename(p) for p in manager.checkpoints] == ["ckpt-2", "ckpt-3"]
    assert sorted(os.listdir(tmp_path))[1:] == [
        f"ckpt-{n}.{part}" for n in (2, 3) for part in ("data-00000-of-00001", "index")
    ]
    wanted = [float(train(net, optimizer)) for _ in range(2)]
    following = int(next(elements))

    checkpoint, net, optimizer, elements = made()
    manager = tf.train.CheckpointManager(checkpoint, tmp_path, max_to_keep=2)
    status = checkpoint.restore(manager.latest_checkpoint)
    with pytest.raises(AssertionError, match="net/last/kernel"):
        status.assert_consumed()
    assert [float(train(net, optimizer)) for _ in range(2)] == pytest.approx(wanted, rel=1e-6)
    assert int(next(elements)) == following
    status.assert_consumed()
    assert os.path.basename(manager.save()) == "ckpt-4"


def test_what_does_not_fit_changes_nothing(tmp_path):
    a, b = tf.Variable([1.0, 2.0]), tf.Variable(3.0)
    path = tf.train.Checkpoint(a=a, b=b).save(tmp_path / "x")
    with pytest.raises(ValueError, match=r"shape \(2,\).*shape \(3,\)"):
        other = tf.Variable(0.0)
        tf.train.Checkpoint(b=other, a=tf.Variable([0.0, 0.0, 0.0])).restore(path)
    assert other.numpy() == 0.0
    with pytest.raises(AssertionError, match="no value for.*c:0"):
        checkpoint = tf.train.Checkpoint(a=a, c=tf.Variable(0.0, name="c"))
        checkpoint.restore(path).expect_partial().assert_existing_objects_matched()
    with pytest.raises(tf.errors.NotFoundError, match="there is no"):
        checkpoint.restore(str(tmp_path / "none"))
    with pytest.raises(ValueError, match="trackable"):
        tf.train.Checkpoint(a=3)
    with pytest.raises(ValueError, match="max_to_keep=0"):
        tf.train.CheckpointManager(checkpoint, tmp_path, 0)
    for suffix, place in (".index", 20), (".data-00000-of-00001", -14):
        damaged = bytearray(open(path + suffix, "rb").read())  # noqa: SIM115
        damaged[place] ^= 1
        with open(path + suffix, "wb") as file:
            file.write(damaged)
        with pytest.raises(ValueError, match="damaged"):
            tf.train.load_variable(path, "a/.ATTRIBUTES/VARIABLE_VALUE")
        damaged[place] ^= 1
        with open(path + suffix, "wb") as file:
            file.write(damaged)
    checkpoint.restore(None)
    assert tf.train.latest_checkpoint(str(tmp_path / "nowhere")) is None


def _pairs(values, name):
    """Keys and values of a table, in no order."""
    return sorted(zip(*(map(str, values[f"{name}/.ATTRIBUTES/table-{x}"]) for x in _PARTS)))


_PARTS = ("keys", "values")


def test_tables_in_a_file_of_tensorflow(tmp_path):
    files, values = FACTS["tables"]
    for name, data in files.items():
        (tmp_path / name).write_bytes(base64.b64decode(data))
    checkpoint, filled = checkpoint_facts.tables(tf)
    for table, (keys, contents) in filled.items():
        table.insert(tf.convert_to_tensor(keys)[::-1], contents)
    checkpoint.restore(tf.train.latest_checkpoint(str(tmp_path))).assert_consumed()
    for table, (keys, contents) in filled.items():
        assert table.size().numpy() == len(keys)
        found, wanted = table.lookup(keys).numpy(), tf.convert_to_tensor(contents).numpy()
        assert found.tolist() == wanted.tolist()
    assert checkpoint.module.words is checkpoint.words
    # What is written has the same names and values, and the same buckets.
    _, own = checkpoint_facts.written(tf, checkpoint)
    assert sorted(own) == sorted(values)
    for name in ("dense", "by_text"):
        for part in _PARTS:
            key = f"{name}/.ATTRIBUTES/table-{part}"
            assert own[key] == values[key]
    for name in ("words", "names"):
        assert _pairs(own, name) == _pairs(values, name)


def test_a_manager_removes_nothing_before_there_are_too_many(tmp_path):
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(v=tf.Variable(0.0)), tmp_path, 3)
    for count in (1, 2, 3, 3, 3):
        manager.save()
        assert len(manager.checkpoints) == len(list(tmp_path.glob("*.index"))) == count


def test_a_manager_goes_on_where_another_one_ended(tmp_path):
    checkpoint = tf.train.Checkpoint(v=tf.Variable(0.0))
    tf.train.CheckpointManager(checkpoint, tmp_path, 2).save()
    state = tf.train.get_checkpoint_state(tmp_path)
    assert len(state.all_model_checkpoint_timestamps) == 1
    [written] = state.all_model_checkpoint_timestamps
    assert written - 10 < state.last_preserved_timestamp < written
    # One that was written two hours after the last one to be kept is kept as well.
    text = (tmp_path / "checkpoint").read_text()
    hours_ago = f"last_preserved_timestamp: {written - 7200}"
    (tmp_path / "checkpoint").write_text(
        "\n".join([*text.splitlines()[:-1], hours_ago])  # written by hand
    )
    manager = tf.train.CheckpointManager(checkpoint, tmp_path, 1, keep_checkpoint_every_n_hours=1)
    manager.save()
    manager.save()
    assert sorted(path.stem for path in tmp_path.glob("*.index")) == ["ckpt-1", "ckpt-3"]
    assert tf.train.get_checkpoint_state(tmp_path).last_preserved_timestamp == written


def test_the_interval_of_a_manager_counts_from_the_last_checkpoint_step(tmp_path):
    step = tf.Variable(3)
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(step=step),
        *(tmp_path, 2),
        step_counter=step,
        checkpoint_interval=2,
        last_checkpoint_step=2,
    )
    assert manager.save() is None
    step.assign(4)
    assert manager.save() is not None


def test_a_state_file_is_text_of_a_protocol_buffer(tmp_path):
    (tmp_path / "checkpoint").write_text("""
        model_checkpoint_path: './m-2'  # quoted, indented and commented by hand
        all_model_checkpoint_paths: "./m-1" all_model_checkpoint_paths: "/m-2" """)
    state = tf.train.get_checkpoint_state(tmp_path)
    assert state.model_checkpoint_path == f"{tmp_path}/./m-2"
    assert list(state.all_model_checkpoint_paths) == [f"{tmp_path}/./m-1", "/m-2"]
    (tmp_path / "checkpoint").write_text("another file")
    assert tf.train.get_checkpoint_state(tmp_path) is None
    (tmp_path / "checkpoint").write_text("")
    with pytest.raises(ValueError, match="model_checkpoint_path"):
        tf.train.latest_checkpoint(tmp_path)


def test_functions_are_called_after_a_checkpoint_was_written(tmp_path):
    called: list = []
    options = tf.train.CheckpointOptions(
        experimental_write_callbacks=[called.append, lambda: called.append(len(called))]
    )
    checkpoint = tf.train.Checkpoint(v=tf.Variable(0.0))
    first = checkpoint.save(tmp_path / "a", options)
    second = checkpoint.write(tmp_path / "b", options)
    third = tf.train.CheckpointManager(checkpoint, tmp_path / "c", 1).save(options=options)
    assert called == [first, 1, second, 3, third, 5]
    with pytest.raises(AssertionError, match="callbacks"):
        tf.train.CheckpointOptions(experimental_write_callbacks=[lambda a, b: None])


def test_what_a_nontrivial_match_is(tmp_path):
    path = tf.train.Checkpoint(v=tf.Variable(0.0)).save(tmp_path / "a")
    other = tf.train.Checkpoint(w=tf.Variable(0.0))
    with pytest.raises(AssertionError, match="Nothing"):
        other.read(path).assert_nontrivial_match()
    other.restore(path).assert_nontrivial_match()  # the counter of checkpoints


def test_a_manager_deletes_no_checkpoints_that_it_has_not_written(tmp_path):
    checkpoint = tf.train.Checkpoint(v=tf.Variable(0.0))
    path = checkpoint.save(tmp_path / "other")
    manager = tf.train.CheckpointManager(checkpoint, tmp_path, 1)
    assert manager.checkpoints == [] and manager.latest_checkpoint == path
    manager.save(), manager.save()
    assert sorted(path.stem for path in tmp_path.glob("*.index")) == ["ckpt-3", "other-1"]


def test_functions_write_checkpoints_to_paths_that_are_tensors(tmp_path):
    v = tf.Variable(1.0)
    checkpoint = tf.train.Checkpoint(v=v)
    write = tf.function(checkpoint.write)
    for number in (1, 2):
        v.assign(number)
        write(tf.constant(str(tmp_path / f"{number}")))
    for number in (1, 2):
        checkpoint.read(tf.constant(str(tmp_path / f"{number}")))
        assert v.numpy() == number


def test_a_root_and_an_argument_of_the_same_name():
    root = tf.Module()
    root.v = tf.Variable(1.0)
    assert tf.train.Checkpoint(root, v=root.v).v is root.v
    with pytest.raises(ValueError, match="root.v already exists"):
        tf.train.Checkpoint(root, v=tf.Variable(1.0))


def test_the_variables_of_a_saved_model_are_a_checkpoint(tmp_path):
    checkpoint = tf.train.Checkpoint(v=tf.Variable(3.0))
    checkpoint.write(tmp_path / "variables" / "variables")
    other = tf.train.Checkpoint(v=tf.Variable(0.0))
    other.restore(tmp_path)
    assert other.v.numpy() == 3


class Text(tf.train.experimental.PythonState):
    def __init__(self, text):
        self.text = text

    def serialize(self):
        return self.text

    def deserialize(self, string_value):
        self.text = string_value.decode()


def test_state_that_objects_write_themselves(tmp_path):
    module = tf.Module()
    module.text = Text("á")
    path = tf.train.Checkpoint(module=module, own=Text("b")).write(tmp_path / "a")
    key = "module/text/.ATTRIBUTES/py_state"  # as in TensorFlow
    assert tf.train.load_variable(path, key) == "á".encode()
    later = tf.train.Checkpoint(module=tf.Module(), own=Text(""))
    status = later.read(path)
    later.module.text = Text("")
    status.assert_consumed()
    assert later.module.text.text == "á" and later.own.text == "b"
