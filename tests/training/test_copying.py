"""The tests of `fit` and of who holds arrays, once more where state is always copied before it is
donated, as on interpreters that do not count references exactly."""

import pytest

import keraslike as keras
from tests.training.test_fit import *  # noqa: F403
from tests.training.test_memory import (  # noqa: F401
    test_a_model_put_on_a_device_and_the_one_it_came_from_train_apart,
    test_arrays_that_the_user_holds_live_on,
    test_the_state_is_donated,
    test_what_somebody_was_given_outlives_further_training,
    trained,
)
from tests.training.test_parity import test_losses_of_internals_train  # noqa: F401

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def _always_copied():
    keras.config.set_copy_before_donation(True)
    yield
    keras.config.set_copy_before_donation(False)
