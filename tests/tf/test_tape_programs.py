"""Random programs of nested tapes against what TensorFlow gave for them (`tape_programs.py`)."""

import json

import numpy as np
import pytest

import keraslike as keras
from keraslike import tf
from tests.tf.tape_programs import RECORDED, SEEDS, walk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recorded():
    return json.loads(RECORDED.read_text())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_program_gives_what_tensorflow_gives(recorded, seed):
    found, expected = walk(seed, tf, keras), recorded[str(seed)]
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected):
        if theirs is None and ours is not None:  # zeros, where TensorFlow knows of no way
            assert not any(ours)
        elif theirs is None or ours is None:
            assert ours is theirs
        else:
            np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-4)
