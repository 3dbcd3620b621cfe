"""Functions of `tf` that put elements in other places, with text. The values are TensorFlow's."""

import numpy as np
import pytest

from keraslike import tf

TEXT = [["a", "b"], ["c", "d"]]

CASES = {
    "expand_dims": (lambda s: tf.expand_dims(s, -1), [[[b"a"], [b"b"]], [[b"c"], [b"d"]]]),
    "squeeze": (lambda s: tf.squeeze(s[:1], 0), [b"a", b"b"]),
    "transpose": (tf.transpose, [[b"a", b"c"], [b"b", b"d"]]),
    "tile": (lambda s: tf.tile(s, [1, 2]), [[b"a", b"b"] * 2, [b"c", b"d"] * 2]),
    "broadcast_to": (lambda s: tf.broadcast_to(s[0], [2, 2]), [[b"a", b"b"]] * 2),
    "fill": (lambda s: tf.fill([2], s[1, 0]), [b"c", b"c"]),
    "repeat": (lambda s: tf.repeat(s, [1, 2], 0), [[b"a", b"b"], [b"c", b"d"], [b"c", b"d"]]),
    "roll": (lambda s: tf.roll(s, 1, 1), [[b"b", b"a"], [b"d", b"c"]]),
    "pad": (lambda s: tf.pad(s, [[0, 1], [0, 0]]), [[b"a", b"b"], [b"c", b"d"], [b"", b""]]),
    "pad with text": (
        lambda s: tf.pad(s, [[1, 0], [0, 0]], constant_values="-"),
        [[b"-", b"-"], [b"a", b"b"], [b"c", b"d"]],
    ),
    "where": (lambda s: tf.where(s == "b", "-", s), [[b"a", b"-"], [b"c", b"d"]]),
    "where of two": (
        lambda s: tf.where([True, False], s, tf.constant("z")),
        [[b"a", b"z"], [b"c", b"z"]],
    ),
    "unstack": (lambda s: tf.unstack(s, axis=1), [[b"a", b"c"], [b"b", b"d"]]),
    "unstack to single": (lambda s: tf.unstack(s[0]), [b"a", b"b"]),
    "split": (lambda s: tf.split(s, [1, 1], 1), [[[b"a"], [b"c"]], [[b"b"], [b"d"]]]),
    "scatter": (
        lambda s: tf.tensor_scatter_nd_update(s, [[0, 1]], ["q"]),
        [[b"a", b"q"], [b"c", b"d"]],
    ),
    "stop_gradient": (tf.stop_gradient, [[b"a", b"b"], [b"c", b"d"]]),
    "reverse_sequence": (
        lambda s: tf.reverse_sequence(s, [1, 2], 1),
        [[b"a", b"b"], [b"d", b"c"]],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_text_is_moved_as_numbers_are(name: str) -> None:
    fn, expected = CASES[name]
    found = fn(tf.constant(TEXT))
    for tensor in found if isinstance(found, list) else [found]:
        assert tensor.dtype is tf.string
    values = [t.numpy() for t in found] if isinstance(found, list) else found.numpy()
    assert np.array(values, object).tolist() == expected


def test_in_the_map_of_a_data_set_and_in_a_function() -> None:
    texts = tf.data.Dataset.from_tensor_slices((["a b", "c"], [1, 0])).batch(2)
    (found, labels), *_ = texts.map(lambda t, n: (tf.expand_dims(t, -1), n))
    assert found.numpy().tolist() == [[b"a b"], [b"c"]] and labels.numpy().tolist() == [1, 0]

    @tf.function
    def chosen(which: tf.Tensor) -> tf.Tensor:
        return tf.where(which, "yes", "no")

    assert chosen(tf.constant([True, False])).numpy().tolist() == [b"yes", b"no"]
