"""Those of the tests of `fit` in which it matters who holds arrays, once more where state is always
copied before it is donated, as on interpreters that do not count references exactly."""

import pytest

import keraslike as keras
from tests.training.test_fit import (  # noqa: F401
    test_a_model_may_contain_the_size_of_a_batch,
    test_a_second_fit_compiles_nothing,
    test_an_exception_in_a_callback_leaves_the_last_finished_step,
    test_arrays_a_user_holds_stay_valid,
    test_ctrl_c_in_the_middle_of_fit,
    test_early_stopping_restores_the_best_weights,
    test_every_source_gives_the_same_training,
    test_freezing_needs_no_recompilation_by_the_user,
    test_handlers_of_signals_wait_for_the_end_of_a_dispatch,
    test_large_arrays_are_sent_batch_by_batch,
    test_learning_rate_changes_take_effect_at_once,
    test_model_checkpoint,
    test_optax_transforms_train,
    test_run_eagerly_gives_the_same_and_runs_python_each_step,
    test_state_that_the_first_batch_makes_is_taken_in,
    test_train_step_overridden_in_keras_stateless_form,
    test_train_step_overridden_with_state,
)
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
