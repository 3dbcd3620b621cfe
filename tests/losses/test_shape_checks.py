"""Targets and predictions of shapes that would be compared with the wrong ones are refused."""

import numpy as np
import pytest

from keraslike import losses, metrics


def ones(*shape):
    return np.ones(shape, "float32")


@pytest.mark.parametrize("shapes", [((3, 1), (3, 3)), ((3, 3), (3, 1)), ((3,), (3, 3))])
@pytest.mark.parametrize("kind", [losses.BinaryCrossentropy, losses.BinaryFocalCrossentropy])
def test_binary_crossentropy_of_other_shapes(kind, shapes):
    true, pred = shapes
    with pytest.raises(ValueError, match="must have the same shape"):
        kind()(ones(*true), ones(*pred) * 0.5)
    assert float(kind()(ones(3), ones(3, 1) * 0.5)) > 0


@pytest.mark.parametrize("kind", [metrics.Precision, metrics.Recall])
@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 2)])
def test_class_id_that_there_is_not(kind, shape):
    """Keras takes the last class there is for one beyond it."""
    metric = kind(class_id=2)
    with pytest.raises(ValueError, match=r"\(num_samples, num_classes\), found.* class_id=2"):
        metric.update_state(ones(*shape), ones(*shape))
    metric.update_state(ones(5, 3), ones(5, 3))
    assert float(metric.result()) == 1.0
