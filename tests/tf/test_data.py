"""`tf.data`: elements, orders, specs and lengths are TensorFlow's."""

import json
import os

import pytest

from keraslike import tf
from keraslike.core import rng
from tests.tf import data_programs

with open(os.path.join(data_programs.HERE, "data_programs.json")) as file:
    KNOWN = json.load(file)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    rng.chosen = None  # as if no global seed had been set
    folder = str(tmp_path_factory.mktemp("data"))
    data_programs.write_files(tf, folder)
    return data_programs.programs(tf, folder)


@pytest.mark.parametrize("name", KNOWN)
def test_as_tensorflow(programs, name):
    elements, spec, count = KNOWN[name]
    dataset = programs[name]
    assert [data_programs.plain(e) for e in dataset] == elements
    assert repr(data_programs.ordinary(dataset.element_spec)) == spec
    assert int(dataset.cardinality()) == count
