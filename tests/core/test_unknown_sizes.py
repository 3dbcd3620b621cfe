"""Unknown sizes are wildcards: in an operation of several operands they fit what they meet."""

import keras
import numpy as np
import pytest

from keraslike import Model, ops
from keraslike.core.symbolic import KerasTensor
from keraslike.layers import Add, Concatenate, Conv1D, Input, Lambda, Layer, Multiply

pytestmark = pytest.mark.slow


def test_unknown_length_meets_a_known_one():
    assert (Input((None, 3)) * Input((5, 3))).shape == (None, 5, 3)
    assert (Input((5, 3)) - Input((None, 3))).shape == (None, 5, 3)


def test_unknown_size_meets_an_array():
    assert (KerasTensor((None, 3)) + np.ones((2, 3), "float32")).shape == (2, 3)


def test_what_need_not_agree_stays_unknown():
    a, b = KerasTensor((None, None)), KerasTensor((2, 4))
    assert ops.concatenate([a, b], axis=1).shape == (2, None)
    assert ops.where(KerasTensor((2, 1), "bool"), a, 0.0).shape == (2, None)


def test_contradictions_stay_errors():
    with pytest.raises((TypeError, ValueError)):
        KerasTensor((None, 3)) + KerasTensor((2, 4))
    with pytest.raises((TypeError, ValueError)):
        ops.matmul(KerasTensor((None, 3)), KerasTensor((4, None)))


# By operation: shapes that fit each other, and how it is called in either library.
CASES = {
    "add": ([(2, 3), (2, 3)], [(2, 1, 3), (4, 3)], [(3,), (2, 3)]),
    "maximum": ([(5, 2, 3), (5, 2, 3)], [(2, 3), (1, 3)]),
    "greater": ([(2, 3), (2, 3)],),
    "logical_and": ([(2, 3), (2, 1)],),
    "divide_no_nan": ([(4, 2, 3), (2, 3)],),
    "where": ([(2, 3), (2, 3), (2, 3)], [(2, 1), (2, 3), (1, 3)]),
    "matmul": ([(2, 3), (3, 4)], [(5, 2, 3), (3, 4)], [(5, 2, 3), (5, 3, 4)]),
    "dot": ([(2, 3), (3, 4)], [(2, 3), (3,)]),
    "inner": ([(2, 3), (4, 3)],),
    "outer": ([(2,), (4,)],),
    "tensordot": ([(2, 3, 4), (3, 4, 5)],),
    "concatenate": ([(2, 3), (4, 3)], [(2, 3), (2, 3), (2, 3)]),
    "stack": ([(2, 3), (2, 3)],),
    "einsum ij,jk->ik": ([(2, 3), (3, 4)],),
    "einsum ij,jk,kl->il": ([(2, 3), (3, 4), (4, 5)],),
    "einsum ij,ij->j": ([(2, 3), (2, 3)],),
    "einsum bqd,bkd->bqk": ([(2, 3, 5), (2, 4, 5)],),
}


def called(library, name, tensors):
    name, _, formula = name.partition(" ")
    function = getattr(library, name)
    if formula:
        return function(formula, *tensors)
    return function(tensors) if name in ("concatenate", "stack") else function(*tensors)


@pytest.mark.parametrize("name", CASES)
def test_as_keras_or_more_exact(name):
    """A size that Keras knows is known here, and what is known is what comes out."""
    random = np.random.default_rng(0)
    for shapes in CASES[name]:
        true = tuple(np.shape(called(ops, name, [np.ones(s, "float32") for s in shapes])))
        for _ in range(6):
            partly = [tuple(None if random.random() < 0.5 else n for n in s) for s in shapes]
            ours = called(ops, name, [KerasTensor(s) for s in partly]).shape
            try:
                theirs = called(keras.ops, name, [keras.KerasTensor(s) for s in partly]).shape
            except ValueError:  # dot's last axis, which has to be known there
                theirs = [None] * len(true)
            assert len(ours) == len(true), partly
            for size, known, out in zip(ours, theirs, true):
                assert size in (None, out), (partly, ours)
                assert size is not None or known is None, (partly, ours, theirs)


def test_merging_layers():
    a, b = Input((None, 3)), Input((5, 3))
    for layer in (Add(), Multiply()):
        assert layer([a, b]).shape == (None, 5, 3)
    assert Concatenate()([a, b]).shape == (None, 5, 6)
    assert Concatenate(axis=1)([a, b]).shape == (None, None, 3)


def test_layers_of_ones_own():
    class Product(Layer):
        def call(self, a, b):
            return a * b

    assert Product()(Input((None, 3)), Input((5, 3))).shape == (None, 5, 3)
    assert Lambda(lambda pair: pair[0] + pair[1])([Input((5, 3)), Input((None, 3))]).shape == (
        None,
        5,
        3,
    )


def test_a_model_of_such_operations_runs_and_nests():
    a, b = Input((None, 3)), Input((5, 3))
    model = Model([a, b], Conv1D(3, 2, kernel_initializer="ones")(a) * b)
    assert model.output_shape == (None, 5, 3)
    x, y = np.ones((2, 6, 3), "float32"), np.ones((2, 5, 3), "float32")
    np.testing.assert_allclose(model([x, y]), np.full((2, 5, 3), 6.0))
    np.testing.assert_allclose(model.predict([x, y], verbose=0), np.full((2, 5, 3), 6.0))
    outer = model([Input((None, 3)), Input((5, 3))])
    assert outer.shape == (None, 5, 3)


def test_unknown_batch_is_printed_as_none(capsys):
    class Printing(Layer):
        def call(self, x):
            print(x.shape)
            return x

    Printing()(Input((2,)))
    assert set(capsys.readouterr().out.splitlines()) == {"(None, 2)"}
