"""One step of training, evaluation or prediction on a batch."""

from __future__ import annotations

import contextlib
import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike import ops, tree
from keraslike.core import arguments, base, context, lowering, rng
from keraslike.core.boxed import boxed, find_boxed, unbox
from keraslike.core.errors import DEPENDS_ON_VALUES, NeedsPython
from keraslike.core.scopes import StatelessScope
from keraslike.core.structures import Structured, flatten
from keraslike.core.symbolic import KerasTensor
from keraslike.core.tensor_methods import given_tensors
from keraslike.core.text import holds_text, is_text
from keraslike.core.tracebacks import is_ours
from keraslike.layers.layer import Layer
from keraslike.training import stateless
from keraslike.training.arrays import (
    Bare,
    as_given,
    example_of,
    structure_of,
    unpack_x_y_sample_weight,
)
from keraslike.training.compiled import Compiled
from keraslike.training.program import Program


def _function(mode: str) -> property:
    def get(self: Steps) -> Callable | None:
        return vars(self).get("_step_functions", {}).get(mode)

    def put(self: Steps, function: Callable | None) -> None:
        vars(self).setdefault("_step_functions", {})[mode] = function
        vars(self).get("_step_programs", {}).pop(mode, None)

    return property(get, put)


# The methods of a step that users' classes define anew.
_OVERRIDDEN = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics")


class Steps(Compiled):
    """A layer that can run one step on a batch; `Trainer` adds the loops over data."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _OVERRIDDEN:
            if name in vars(cls):
                setattr(cls, name, given_tensors(vars(cls)[name]))

    def _call_as_layer(self, *args: Any, **kwargs: Any) -> Any:
        if not self._steps_eagerly or context.state.plain:
            return super()._call_as_layer(*args, **kwargs)
        with context.using(plain=True):
            return super()._call_as_layer(*args, **kwargs)

    # -- one step -----------------------------------------------------------------------------

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> jax.Array:
        """The scalar to minimize: the compiled loss, and the losses of layers and weights.

        A model without any loss can be evaluated, where it is zero, but not trained.
        """
        terms = []
        if self._compile_loss is not None and y is not None:
            terms.append(self._compile_loss(y, y_pred, sample_weight))
        elif self._compile_loss is not None:
            raise ValueError("The model was compiled with a loss, which needs y: pass targets.")
        terms += [ops.sum(loss) for loss in self.losses]
        if not terms and not training:
            return ops.zeros(())
        if not terms:
            raise ValueError(
                "There is no loss to minimize: compile the model with loss=..., or add_loss() "
                "in a layer."
            )
        total = functools.reduce(operator.add, terms)
        return boxed(total) if find_boxed((y, y_pred)) is not None else total

    def compiled_loss(
        self, y: Any, y_pred: Any, sample_weight: Any = None, regularization_losses: Any = None
    ) -> jax.Array:
        """`compute_loss`, for a `train_step` that was written for Keras 2, where it also updates
        the `loss` of the logs."""
        loss = self.compute_loss(None, y, y_pred, sample_weight)
        self._loss_tracker.update_state(unbox(loss), sample_weight=_batch_size(y))
        return loss

    @property
    def compiled_metrics(self) -> Any:
        """The metrics of `compile`, for a `train_step` that was written for Keras 2."""
        return self._compile_metrics

    def _compute_loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool
    ) -> jax.Array:
        """Calls `compute_loss`; a subclass may define it without the `training` argument."""
        takes_it = "training" in inspect.signature(self.compute_loss).parameters
        more = {"training": training} if takes_it else {}
        return unbox(self.compute_loss(x, y, y_pred, sample_weight, **more))

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Updates the compiled metrics with a batch and returns the values of all metrics."""
        if self._compile_metrics is not None and y is not None:
            self._compile_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    @stateless.in_either_form("train")
    def train_step(self, data: Any) -> dict[str, Any]:
        """One training step on a batch; it runs on tracers and is compiled to one program."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        if self.optimizer is None:
            raise ValueError("The model was compiled without an optimizer: it cannot be trained.")

        def forward() -> tuple[Any, Any]:
            y_pred = self(x, training=True)
            loss = self._compute_loss(x, y, y_pred, sample_weight, training=True)
            if jnp.ndim(loss):
                raise ValueError(
                    f"The loss has shape {jnp.shape(loss)}; a scalar is needed to train. "
                    "Use a reduction other than None."
                )
            # Masks are attached to tensors, and the trace of the gradient returns other tensors.
            masks = jax.tree.map(context.get_mask, y_pred)
            return self.optimizer.scale_loss(loss), (loss, y_pred, masks)

        if self._needs_python and not self._all_built():
            with StatelessScope():  # creates the weights, which shape inference could not
                self(x, training=False)
        trainable = self.trainable_variables
        chosen = {id(v) for v in trainable}
        others = [v for v in base.variables_of(*self._state_roots()) if id(v) not in chosen]
        (_, (loss, y_pred, masks)), grads = lowering.gradient(
            forward, trainable, others, has_aux=True
        )
        _restore_masks(y_pred, masks)
        self._loss_tracker.update_state(loss, sample_weight=_batch_size(x))
        self.optimizer.apply(grads, trainable)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    @stateless.in_either_form("test")
    def test_step(self, data: Any) -> dict[str, Any]:
        """One evaluation step on a batch."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self._compute_loss(x, y, y_pred, sample_weight, training=False)
        self._loss_tracker.update_state(loss, sample_weight=_batch_size(x))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    @stateless.in_either_form("predict")
    def predict_step(self, data: Any) -> Any:
        """The predictions for a batch."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)

    # -- functions of state and an iterator ---------------------------------------------------

    # A class may define these methods, or a program may set the functions; by default steps are
    # compiled together with their data.

    train_function = _function("train")
    test_function = _function("test")
    predict_function = _function("predict")

    def make_train_function(self, force: bool = False) -> None:
        """Makes `train_function`, a pure `(state, iterator) -> (logs, state)` that trains on the
        next batch of the iterator, or on several as `steps_per_execution` says.

        The state is a tuple of lists of values, in the order of `trainable_variables`,
        `non_trainable_variables`, `optimizer.variables` and `metrics_variables`. `fit` calls this
        method of a class that has its own, and runs the `train_function` that it sets.

        Args:
            force: whether to make another one where there is one.
        """
        self._make_function("train", force)

    def make_test_function(self, force: bool = False) -> None:
        """The same for evaluation: the state has no `optimizer.variables`."""
        self._make_function("test", force)

    def make_predict_function(self, force: bool = False) -> None:
        """The same for `(state, iterator) -> (predictions, state)`, whose state has only
        `trainable_variables` and `non_trainable_variables`."""
        self._make_function("predict", force)

    def _make_function(self, mode: str, force: bool) -> None:
        if force or getattr(self, f"{mode}_function") is None:
            setattr(self, f"{mode}_function", stateless.StepFunction(self, mode))

    def _users_function(self, mode: str) -> Callable | None:
        make = f"make_{mode}_function"
        if getattr(type(self), make) is not getattr(Steps, make):
            getattr(self, make)()
        function = getattr(self, f"{mode}_function")
        return None if isinstance(function, stateless.StepFunction) else function

    # -- the same as pure functions -----------------------------------------------------------

    def stateless_compute_loss(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        metrics_variables: Sequence[Any],
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tuple[jax.Array, tuple[Any, Any, Any]]:
        """`compute_loss` as a pure function: `(loss, (trainable_variables,
        non_trainable_variables, metrics_variables))`.

        The three sequences hold values in the order of the properties of the same names.
        """
        return stateless.run(
            lambda: self._compute_loss(x, y, y_pred, sample_weight, training),
            self,
            stateless.parts_of(self, "test"),
            (trainable_variables, non_trainable_variables, metrics_variables),
        )

    def compute_loss_and_updates(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        metrics_variables: Sequence[Any],
        x: Any,
        y: Any,
        sample_weight: Any,
        training: bool = False,
        optimizer_variables: Sequence[Any] | None = None,
    ) -> tuple[jax.Array, tuple[Any, ...]]:
        """The call and its loss as a pure function, for `jax.grad` with `has_aux=True`:
        `(loss, (unscaled_loss, y_pred, non_trainable_variables, metrics_variables))`.

        In training the loss is scaled as the optimizer does it; pass its variables' values then.
        """
        parts = stateless.parts_of(self, "test")
        values = [trainable_variables, non_trainable_variables, metrics_variables]
        optimizer = getattr(self, "optimizer", None) if training else None
        if optimizer_variables is None:
            optimizer = None
        elif optimizer is not None:
            parts.append(optimizer.variables)
            values.append(optimizer_variables)

        def forward() -> tuple[Any, ...]:
            y_pred = self(x, training=training)
            loss = self._compute_loss(x, y, y_pred, sample_weight, training)
            return (loss if optimizer is None else optimizer.scale_loss(loss)), loss, y_pred

        (scaled, loss, y_pred), new = stateless.run(forward, self, parts, values)
        return scaled, (loss, y_pred, new[1], new[2])

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """The values of all state in dicts nested as the Variables' paths are, below
        `trainable_variables`, `non_trainable_variables`, `optimizer_variables` and
        `metrics_variables`.

        Args:
            value_format: `"backend_tensor"` for JAX arrays, `"numpy_array"` for numpy's.

        Raises ValueError if two Variables have the same path.
        """
        arguments.one_of(("backend_tensor", "numpy_array"), value_format=value_format)
        return stateless.get_tree(self, value_format == "numpy_array")

    def set_state_tree(self, state_tree: dict[str, Any]) -> None:
        """Sets the state from what `get_state_tree` gave, or a part of it.

        Raises ValueError, changing nothing, for a path or a shape that does not fit.
        """
        stateless.set_tree(self, state_tree)

    @property
    def jit_compile(self) -> bool:
        """Whether the steps are compiled; may be set."""
        return not self.run_eagerly

    @jit_compile.setter
    def jit_compile(self, value: Any) -> None:
        self.run_eagerly = self.run_eagerly or value is False

    def jax_state_sync(self) -> None:
        """Does nothing: the Variables always hold the values of the last step, even in
        callbacks."""

    def _state_roots(self) -> list[Any]:
        """All objects, except for the optimizer, that a step may change."""
        compiled = [self._loss_tracker, self._compile_metrics, self._compile_loss]
        return [self, *[o for o in compiled if o is not None], rng.global_stream()]

    # -- lowering -----------------------------------------------------------------------------

    def _prepare_program(self, example: Any, mode: str) -> None:
        """Creates all state, from the shapes of a batch.

        A model whose code computes sizes from values, or with `run_eagerly` depends on values
        otherwise, cannot be compiled: its steps run as plain
        Python from then on, and create the state with their first batch.
        """
        needed = DEPENDS_ON_VALUES if self.run_eagerly else (NeedsPython,)
        try:
            self._prepare_by_trace(example, mode)
        except needed:
            if self._needs_python or self._demands_jit():
                raise
            self._needs_python = True
            self._step_programs = {}
            with contextlib.suppress(*needed):
                self._prepare_by_trace(example, mode)

    def _prepare_by_trace(self, example: Any, mode: str) -> None:
        step = getattr(self, f"{mode}_step")
        own = getattr(step, "__func__", step) is not getattr(Steps, f"{mode}_step")
        stateful = own and not stateless.takes_state(step)
        if own and self._all_built():
            with contextlib.suppress(Exception):  # The step may call the model on other inputs.
                self._make_state(example, mode)
        elif not stateful:
            self._make_state(example, mode)
        if stateful:
            # The user's step is traced to find the objects that it calls: layers that it calls
            # first, and its optimizers, then create their state.
            self._program_of(mode).create_state(example)
        elif mode == "train" and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)
        loss = self._compile_loss if self._has_own_loss() and mode != "predict" else None
        unsettled = loss is not None and not loss.built
        if not stateful and (unsettled or self._has_users_code() or holds_text(example)):
            self._program_of(mode).create_state(example)

    def _has_users_code(self) -> bool:
        """Whether the class of the model or of one of its layers is a user's."""
        return not all(is_ours(type(layer)) for layer in self._known_layers())

    def _has_own_loss(self) -> bool:
        return type(self).compute_loss is not Steps.compute_loss

    def _has_call(self) -> bool:
        """Whether the model can be called: it cannot if only its steps are defined."""
        return type(self).call is not Layer.call

    def _make_state(self, example: Any, mode: str) -> None:
        """Creates the state of a call of the model on x, and that of the losses and metrics of its
        outputs."""
        if not self._has_call():
            return
        x, y, _ = unpack_x_y_sample_weight(example)

        def symbol(a: Any) -> KerasTensor:
            return KerasTensor((None, *a.shape[1:]), a.dtype)

        def of_this_batch(a: Any) -> KerasTensor:
            return KerasTensor(a.shape, a.dtype)

        def trace() -> Any:
            try:
                return self._trace_outputs(jax.tree.map(symbol, x, is_leaf=is_text))
            except NeedsPython:
                raise
            except (TypeError, ValueError):
                # The model may contain the size of a batch, as that of the noise that it draws.
                with contextlib.suppress(TypeError, ValueError):
                    return self._trace_outputs(jax.tree.map(of_this_batch, x, is_leaf=is_text))
                raise

        y_pred = None if self._all_built() else trace()
        if mode == "predict":
            return
        # A class's own compute_loss may pass other values than the model's outputs to the losses.
        loss = None if self._has_own_loss() else self._compile_loss
        containers = [c for c in (loss, self._compile_metrics) if c is not None]
        if y is not None and not all(c.built for c in containers):
            if y_pred is None:
                y_pred = trace()
            for c in containers:
                c.build(as_given(jax.tree.map(symbol, y)), y_pred)

    def _all_built(self) -> bool:
        """Whether the model's weights exist. Its own weights are created by its first call, if it
        can be called."""
        known = self._cached_facts()
        if "built" not in known:
            layers = self._flatten_layers(include_self=False)
            known["built"] = (self.built or not self._has_call()) and all(x.built for x in layers)
        return known["built"]

    def _trace_outputs(self, x: Any) -> Any:
        x = as_given(x)
        if not self.built:
            self._maybe_build((x,), {})
        return self.compute_output_spec(x)

    def _supports_jit(self) -> bool:
        if self._demands_jit():
            return True
        return not self._needs_python and all(
            layer.supports_jit for layer in self._flatten_layers()
        )

    def _demands_jit(self) -> bool:
        return self._compile_args is not None and self._compile_args["jit_compile"] is True

    def _program_of(self, mode: str) -> Program:
        programs = vars(self).setdefault("_step_programs", {})
        function = self._users_function(mode)
        program = programs.get(mode)
        if program is not None and program.is_current():
            return program
        step = getattr(self, f"{mode}_step")
        roots = self._state_roots() if mode != "predict" else [self, rng.global_stream()]
        fixed: list[Any] = []
        if mode != "train":
            fixed = self.trainable_variables
        elif self.optimizer is not None:
            roots.append(self.optimizer)
        if function is not None:
            step = stateless.by_function(self, function, mode)
        elif stateless.takes_state(step):
            step = stateless.stateful(self, step, mode)
        elif not is_ours(step):
            step = _on_tuples(step)
        step = functools.partial(_on_batch, step, self.run_eagerly)
        stack = mode == "predict"
        step = _structured(step) if stack else _named(step)
        jit = function is None and not self.run_eagerly and self._supports_jit()
        begin = self.reset_metrics if jit and mode != "predict" and self._resets_purely() else None
        programs[mode] = Program(step, roots, fixed, jit=jit, stack=stack, begin=begin)
        return programs[mode]

    def _ready_program(self, mode: str, batch: Any) -> Program:
        """The program for a mode, after all state that its step on such a batch needs was
        created."""
        program: Any = vars(self).get("_step_programs", {}).get(mode)
        structure = structure_of(batch)
        if program is None or structure not in program.prepared or not program.is_current():
            self._prepare_program(example_of(batch), mode)
            program = self._program_of(mode)
            program.prepared.add(structure)
        elif self._users_function(mode) is not None:
            program = self._program_of(mode)
        program.place_state()
        return program

    def _resets_purely(self) -> bool:
        """Whether `reset_metrics` only sets state, so that it can be traced."""
        resets = [type(self).reset_metrics]
        for root in self._state_roots():
            resets += [getattr(type(o), "reset_state", None) for o in base.iter_objects(root)]
        return all(is_ours(reset) for reset in resets if reset is not None)


def _restore_masks(y_pred: Any, masks: Any) -> None:
    if not jax.tree.leaves(masks):
        return
    is_none = lambda m: m is None  # noqa: E731
    flat_masks = jax.tree.leaves(masks, is_leaf=is_none)
    for tensor, mask in zip(jax.tree.leaves(y_pred), flat_masks):
        context.set_mask(tensor, mask)


def _batch_size(x: Any) -> int:
    return jax.tree.leaves(x, is_leaf=is_text)[0].shape[0]


def _on_tuples(step: Callable) -> Callable:
    """A user's step that takes `data`: its lists are tuples there, as in Keras on TensorFlow."""
    return lambda data: step(tree.lists_to_tuples(data))


def _on_batch(step: Callable, plain: bool, batch: Any) -> Any:
    with context.using(plain=plain):
        return step(batch.x if isinstance(batch, Bare) else batch)


def _structured(step: Callable) -> Callable:
    """The step, whose outputs, if they are several, are `Structured`."""

    def run(data: Any) -> Any:
        outputs = unbox(step(data))
        is_one = isinstance(outputs, jax.Array)
        return outputs if is_one else Structured(*flatten(outputs, is_leaf=is_text))

    return run


def _named(step: Callable) -> Callable:
    """The step, whose logs are their values, `Structured` by their names."""

    def run(data: Any) -> Structured:
        logs = step(data)
        if not isinstance(logs, dict):
            raise TypeError(f"A step must return a dict of logs. It returned {type(logs)}.")
        logs = flat_logs(logs)
        return Structured(unbox(list(logs.values())), tuple(logs))

    return run


def flat_logs(logs: dict[str, Any]) -> dict[str, Any]:
    """The values of logs in order, with nested dicts flattened in place."""
    flat: dict[str, Any] = {}
    for name, value in sorted(logs.items()):
        flat.update(flat_logs(value) if isinstance(value, dict) else {name: value})
    return flat
