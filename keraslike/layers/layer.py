"""`Layer`, the base of all layers and models."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core import (
    base,
    context,
    dtypes,
    foreign,
    host,
    lowering,
    naming,
    operation,
    policies,
    precision,
    remat,
    serialization,
    sparsity,
    symbolic,
    text,
)
from keraslike.core.boxed import BoxedResults, boxed_call, dispatcher, unbox
from keraslike.core.errors import InvalidArgument
from keraslike.core.notes import note_call
from keraslike.core.repeated import MISSED, Repeated
from keraslike.core.static import AutoName
from keraslike.core.structures import map_items
from keraslike.core.symbolic import KerasTensor
from keraslike.core.tensor_methods import with_tensors
from keraslike.core.tracebacks import entry, handled, is_ours, shorten
from keraslike.layers import keras_names, text_maps
from keraslike.layers.input_spec import check_inputs
from keraslike.layers.layer_building import LayerBuilding, guard_build
from keraslike.layers.layer_state import LayerState
from keraslike.layers.masks_and_losses import MasksAndLosses
from keraslike.layers.shapes import given_shapes
from keraslike.layers.signatures import call_names, call_takes, parameters_of
from keraslike.layers.symbolic_calls import SymbolicCalls
from keraslike.quantizers.configs import validate_and_resolve_config


class Layer(
    LayerState,
    LayerBuilding,
    SymbolicCalls,
    MasksAndLosses,
    base.Object,
    operation.Operation,
    keras_names.KerasNames,
):
    """A function with weights: `build` creates them from the input's shape, `call` computes the
    output.

    Args:
        activity_regularizer: a function of the output whose value is added to the loss.
        trainable: whether the weights are trained; can be changed at any time.
        dtype: a dtype or a policy such as `"mixed_bfloat16"`; from a `DTypePolicyMap` the policy
            for the layer's path.
        autocast: whether floating-point inputs are cast to the compute dtype.
        name: a name; generated if it is omitted.

    A subclass may set attributes before `super().__init__()`, keep sublayers in attributes, lists,
    tuples and dicts, and need not call `super().build(input_shape)`.

    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones")
    ...     def call(self, x):
    ...         return x * self.scale
    >>> Scale()(jnp.array([[1.0, 2.0]])).tolist()
    [[1.0, 2.0]]
    """

    _untracked = base.Object._untracked | {
        *("_inbound_nodes", "_state_complete", "_build_lock", "_given_dtypes", "_path"),
        *("_creation_number", "_sublayer_ranks", "_sublayer_places", "_called"),
    }
    _transient = base.Object._transient | {
        "_build_lock",
        "_creation_number",
        "_sublayer_ranks",
        "_sublayer_places",
    }

    _eager_calls: Any = None  # The compiled calls, which `training.eager` keeps here.

    built = False  # True in the classes that Keras builds in their constructor.
    input_spec: Any = None
    supports_masking = False
    # If false, models that contain the layer run their steps without compilation.
    supports_jit = True
    autocast = True
    activity_regularizer: Any = None
    # Whether a config contains the argument even if it is None.
    _saves_activity_regularizer = False
    _name: str | None = None
    _trainable = True
    _given_policy: policies.DTypePolicy | None = None
    _path: str | None = None  # The path at which the layer was first built or called.
    _build_running = False
    _is_quantized = False
    _keeps_sparse = True  # Whether `call` accepts sparse arrays.
    _takes_text = True  # Whether `call` accepts text.
    _is_users = False  # Whether `call` is a user's code.
    # Keras's names. The first says whether inputs are converted to JAX arrays, the second whether
    # other values may be passed by position.
    _convert_input_args = True
    _allow_non_tensor_positional_args = False
    # Whether a class's own `compute_output_shape` determines the output without a trace.
    _says_shapes = True
    _state_complete = False  # Whether the layer has all of its weights and sublayers.
    # Tells TensorFlow's AutoGraph not to convert the layer's methods.
    autograph_info__: Any = MappingProxyType({})
    _build_shapes: Any = None
    _given_input_shape: Any = None

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        input_dim = kwargs.pop("input_dim", None)
        input_shape = kwargs.pop("input_shape", None if input_dim is None else (input_dim,))
        batch_shape = kwargs.pop("batch_input_shape", kwargs.pop("batch_shape", None))
        if kwargs:
            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}"
            )
        if input_shape is not None:
            if isinstance(input_shape, int):
                input_shape = (input_shape,)
            batch_shape = (None, *input_shape)
        if batch_shape is not None:
            self._given_input_shape = symbolic.standardize_shape(batch_shape)
        # Names are assigned in the order in which layers are created, as in Keras.
        self.name = (
            naming.auto_name(naming.to_snake_case(type(self).__name__)) if name is None else name
        )
        if activity_regularizer is not None:
            self.activity_regularizer = serialization.get("regularizers", activity_regularizer)
        if not isinstance(trainable, (bool, np.bool_)):
            raise InvalidArgument(
                f"Expected `trainable` to be a boolean, True or False. Received: {trainable!r}"
            )
        if not trainable:
            self._trainable = False
        if not autocast:
            self.autocast = False
        self.dtype_policy = dtype
        if context.state.remat is not None:
            self._remat_mode = context.state.remat

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = guard_build(cls.build)
            cls.built = False
        if "quantize" in vars(cls):
            cls.quantize = guard_quantize(cls.quantize)
        if "call" in vars(cls) and "_keeps_sparse" not in vars(cls):
            cls._keeps_sparse = not is_ours(cls, "layers")
        if "call" in vars(cls) and "_takes_text" not in vars(cls):
            cls._takes_text = not is_ours(cls, "layers")
        if "call" in vars(cls) and "_is_users" not in vars(cls):
            cls._is_users = not is_ours(cls)
        if "compute_output_shape" in vars(cls):
            cls.compute_output_shape = given_shapes(cls.compute_output_shape)

    # -- names and dtypes ---------------------------------------------------------------------

    @property
    def name(self) -> str:
        if self._name is None:
            self._name = naming.auto_name(naming.to_snake_case(type(self).__name__))
        return str(self._name)

    @name.setter
    def name(self, value: str) -> None:
        if not isinstance(value, str):
            raise ValueError(f"name must be a string. Received: name={value!r}")
        self._name = value if isinstance(value, AutoName) else str(value)

    @property
    def path(self) -> str:
        """The names of the enclosing layers at the first build or call, and the layer's own."""
        return self._path or "/".join((*context.state.names, self.name))

    @property
    def dtype_policy(self) -> policies.DTypePolicy:
        """The policy that was passed; in a map, `dtype` and `compute_dtype` are looked up by the
        path."""
        return self._given_policy or policies.dtype_policy()

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        policy, before = policies.get(value), self._given_policy
        self._check_quantized(policy)
        mode = self.quantization_mode if self._is_quantized else None
        readable = (mode, None) if mode == "float8" else (mode,)  # float8 keeps the float weights.
        if mode is not None and policy.quantization_mode not in readable:
            raise ValueError(
                f"The weights of layer '{self.name}' ({type(self).__name__}) are quantized to "
                f"{mode}, which only a policy of that mode can read. "
                f"Received: dtype_policy={policy!r}"
            )
        if isinstance(before, policies.DTypePolicyMap) and self._path:
            before.pop(self._path) if self._path in before else None
            before[self._path] = policy
        else:
            self._given_policy = policy
        self._policy_changed()

    def _policy_changed(self) -> None:
        """Called when the policy changes; a built layer may have to be quantized."""

    def _check_quantized(self, policy: policies.DTypePolicy) -> None:
        mode, cls = policy.quantization_mode, type(self)
        own = hasattr(cls, f"_{mode}_call") or cls.quantized_call is not Layer.quantized_call
        if mode is not None and not own:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) does not support "
                f"quantization. Received: dtype_policy={policy!r}"
            )

    def _own_policy(self) -> policies.DTypePolicy:
        policy = self.dtype_policy
        if isinstance(policy, policies.DTypePolicyMap):
            policy = policy[self.path]
            self._check_quantized(policy)
        return policy

    @property
    def quantization_mode(self) -> str | None:
        """The quantization mode of the weights, such as `"int8"`; `None` if they are not
        quantized."""
        return self._own_policy().quantization_mode

    def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> None:
        """Quantizes the weights of the layers that support it: `Dense`, `EinsumDense`, `Embedding`
        and `ReversibleEmbedding`. Others raise NotImplementedError."""
        self._check_quantize(validate_and_resolve_config(mode, config).mode)
        raise NotImplementedError(
            f"Layer '{self.name}' ({type(self).__name__}) does not have a `quantize` method "
            "implemented."
        )

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """Replaces `call` in a quantized layer. In a user's class it calls the method named after
        the mode, such as `_int8_call`, and raises NotImplementedError if there is none."""
        call = getattr(self, f"_{self.quantization_mode}_call", None)
        if call is None:
            raise NotImplementedError(
                f"Invalid quantization mode: layer '{self.name}' ({type(self).__name__}) has no "
                f"call for it. Received: quantization_mode={self.quantization_mode!r}"
            )
        return call(*args, **kwargs)

    @contextlib.contextmanager
    def _adding_variables(self) -> Iterator[None]:
        """A block in which variables may be added after the layer was built."""
        if self._build_running:
            yield
            return
        self._build_running = True
        try:
            with context.using(names=tuple(self.path.split("/")), autocast=None):
                yield
        finally:
            del self._build_running

    def _check_quantize(self, mode: str) -> None:
        if not self.built:
            raise ValueError(
                f"Cannot quantize a layer that isn't yet built. Received: layer '{self.name}' "
                f"({type(self).__name__})"
            )
        if self._is_quantized:
            raise ValueError(
                f"Layer '{self.name}' is already quantized with "
                f"dtype_policy='{self.dtype_policy.name}'. Received: mode={mode}"
            )
        if mode == "int8" and self.compute_dtype == "float16":
            raise ValueError(
                "Quantization mode='int8' doesn't work well with compute_dtype='float16', whose "
                "range is too small. Use 'mixed_bfloat16' or 'float32'."
            )

    @property
    def dtype(self) -> str:
        """The dtype of the weights."""
        return self._own_policy().variable_dtype

    variable_dtype = dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype of the computation, to which inputs and weights are cast."""
        return self._own_policy().compute_dtype

    input_dtype = compute_dtype

    @property
    def call_signature_parameters(self) -> list[str]:
        """The names of the parameters of `call`."""
        return [p.name for p in parameters_of(type(self).call)]

    # -- calling ------------------------------------------------------------------------------

    @handled
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if precision.needed(self):
                with precision.in_float64():
                    return self(*args, **kwargs)
            dispatch = dispatcher(args, kwargs)
            if dispatch is not None and not symbolic.is_symbolic(args, kwargs):
                return dispatch(self._call_as_layer, args, kwargs, owner=self)
            if self._gives_boxes or BoxedResults.everywhere:
                return boxed_call(self._call_as_layer, args, kwargs)
            if not self._convert_input_args and foreign.in_graph(args, kwargs):
                with foreign.autograph():  # The layer's `call` consists of TensorFlow's operations.
                    return self._call_as_layer(*args, **kwargs)
            return self._call_as_layer(*args, **kwargs)
        except foreign.InGraph:
            return foreign.through_graph(self, args, kwargs)
        except Exception as error:
            shorten(error)
            raise

    def _call_as_layer(self, *args: Any, **kwargs: Any) -> Any:
        state = context.state
        if self._eager_calls is not None and not state.held and self.built:
            outputs = self._eager_calls.again(args, kwargs)
            if outputs is not MISSED:
                return outputs
        converts, takes_any = self._convert_input_args, self._allow_non_tensor_positional_args
        if args and (converts or not takes_any):
            args = tuple([self._convert_input(a) for a in args]) if converts else args
            for i, a in enumerate(() if takes_any else args):
                if a is not None and not hasattr(a, "shape"):
                    is_option = i > 0 and isinstance(a, (str, bytes))
                    if not is_option and (found := text.of_lists(a)) is not None:
                        args = (*args[:i], self._convert_input(found), *args[i + 1 :])
                    else:
                        self._check_positional(a)
        if kwargs and converts:
            kwargs = {k: self._convert_input(v) for k, v in kwargs.items()}
        if symbolic.is_symbolic(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        if self._is_users:
            outputs = text_maps.mapped(self, args, kwargs)
            if outputs is not MISSED:
                return outputs
        if self.built and not state.held:
            outputs = Repeated.run_layer(self, args, kwargs)
            if outputs is not MISSED:
                return outputs

        takes = call_takes(type(self).call)
        training = kwargs.pop("training", None)
        if training is None:
            training = state.training
        if training is not None and "training" in takes:
            kwargs["training"] = training

        previous = self._pass_masks(takes, args, kwargs)
        before = (state.training, state.depth, state.autocast, state.names)
        inherited = state.inherited
        if before[1] == 0 and state.losses:
            self._forget_losses()
        if self._call_context_args is not keras_names.INHERITED:
            self._inherit(takes, kwargs)
        self._note_called(args)
        state.training, state.depth = training, before[1] + 1
        state.names = (*before[3], self.name)
        if self._path is None:
            self._path = "/".join(state.names)
        policy = self._own_policy()
        mixed = policy.compute_dtype != policy.variable_dtype
        state.autocast = jnp.dtype(policy.compute_dtype) if mixed and self.autocast else None
        try:
            if not self.built:
                state.names = before[3]
                self._maybe_build(args, kwargs)
                state.names = (*before[3], self.name)
            self._check_call_inputs(args, kwargs)
            quantized = self._is_quantized and self.quantization_mode is not None
            call = self.quantized_call if quantized else self.call
            if self._is_users:
                call = with_tensors(call, type(self), self)
            if self._remat_mode is not None:
                call = self.rematerialized_call(call, *args, **kwargs)
            if state.exporting:  # Errors of exporters name the layer.
                call = jax.named_scope(self.name)(call)
            outputs = unbox(call(*args, **kwargs))
            if before[1] == 0 and text.holds_text(outputs):
                outputs = text.outside(outputs)
            if state.distribution is not None:
                outputs = state.distribution.laid_out(self._path, outputs)
            if self.activity_regularizer is not None:
                for output in jax.tree.leaves(outputs):
                    # An empty batch adds nothing. A symbolic size is never 0.
                    self.add_loss(self.activity_regularizer(output) / (output.shape[0] or 1))
        except Exception as error:
            self._note_call(error, args, kwargs)
            raise
        finally:
            state.training, state.depth, state.autocast, state.names = before
            state.inherited = inherited
        passes = previous is not None and self.supports_masking
        if passes or type(self).compute_mask is not Layer.compute_mask:
            self._set_masks(self._first_of(args, kwargs), outputs, previous)
        return outputs

    def rematerialized_call(self, layer_call: Callable, *args: Any, **kwargs: Any) -> Callable:
        """`layer_call`, wrapped as the `RematScope` that the layer was created in requires."""
        mode = self._remat_mode
        if mode is not None and mode.mode == "activations":
            activation = getattr(self, "activation", None)
            if not callable(activation):
                return layer_call
            again = remat.remat(activation)

            def call(*args: Any, **kwargs: Any) -> Any:
                vars(self)["activation"] = again
                try:
                    return layer_call(*args, **kwargs)
                finally:
                    vars(self)["activation"] = activation

            return call
        if mode is not None and mode.mode == "list_of_layers":
            return remat.remat(layer_call) if mode.names(self) else layer_call
        return super().rematerialized_call(layer_call, *args, **kwargs)

    def _convert_input(self, x: Any) -> Any:
        """Converts arrays of any library to JAX arrays, with floats cast to the compute dtype."""
        if isinstance(x, nnx.Variable):
            x = x.get_value()
        if isinstance(x, (jax.Array, KerasTensor)):
            if self.autocast and dtypes.is_float(x.dtype):
                wanted = self.compute_dtype
                if x.dtype == wanted:
                    return x
                if isinstance(x, KerasTensor):
                    return x._as_cast_input(wanted)
                cast, mask = x.astype(wanted), context.get_mask(x)
                if mask is not None:
                    context.set_mask(cast, mask)
                return cast
            if isinstance(x, KerasTensor) and x.dtype == "string":
                self._check_text(x)
            return x
        if isinstance(x, text.Text):
            self._check_text(x)
            return x
        if isinstance(x, (np.ndarray, np.generic)):
            if isinstance(x, np.ndarray) and (texts := text.as_bytes(x)) is not None:
                return self._convert_input(text.Text(texts))
            if self.autocast and dtypes.is_float(x.dtype):
                return host.asarray(x, self.compute_dtype)
            if not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
                foreign.refuse_wide(np.asarray(x), f"The input of layer '{self.name}'")
            return host.asarray(x)
        if hasattr(x, "__jax_array__"):
            return self._convert_input(x.__jax_array__())
        if sparsity.is_sparse(x):
            if not self._keeps_sparse:
                return self._convert_input(x.todense())
            if self.autocast and dtypes.is_float(x.dtype) and x.dtype != self.compute_dtype:
                return sparsity.cast(x, self.compute_dtype)
            return x
        if isinstance(x, (dict, list, tuple)):
            return map_items(self._convert_input, x)
        if x is None or isinstance(x, bool) or (self._keeps_sparse and hasattr(x, "row_splits")):
            return x
        if self._is_users and hasattr(x, "with_values"):  # a tf.SparseTensor
            return x.with_values(self._convert_input(x.values))
        found = foreign.array_of(x)  # An array of torch, pandas or another library.
        if found is not None and found.dtype.kind in "SO" and not foreign.is_frame(x):
            return self._convert_input(found)  # An array of text.
        if found is None or not foreign.is_numeric(found):
            if foreign.is_frame(x):
                what = foreign.not_numeric(x, found)
                raise ValueError(f"Layer '{self.name}' takes numbers. Received {what}.")
            return x
        return self._convert_input(found)

    def _check_text(self, given: Any) -> None:
        if not self._takes_text:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) takes numbers. Received text, a "
                f"string tensor of shape {symbolic.show_shape(given.shape)}. Layers that "
                "convert text to numbers are StringLookup, TextVectorization and Hashing."
            )

    def _check_positional(self, argument: Any) -> None:
        for value in jax.tree.leaves(argument):
            if not hasattr(value, "shape"):
                raise ValueError(
                    "Only input tensors may be passed as positional arguments; pass others by "
                    f"keyword. Received: {value!r} of type {type(value).__name__} for layer "
                    f"'{self.name}' ({type(self).__name__})"
                )

    def _note_call(self, error: Exception, args: tuple, kwargs: dict[str, Any]) -> None:
        what = f"layer '{self.name}' ({type(self).__name__})"
        note_call(error, what, call_names(type(self).call), args, kwargs)

    def _check_call_inputs(self, args: tuple, kwargs: dict[str, Any]) -> None:
        if self.input_spec is not None:
            first = self._first_of(args, kwargs)
            if args or first is not None:
                check_inputs(self.input_spec, first, f"'{self.name}' ({type(self).__name__})")

    @entry
    def stateless_call(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """The call as a pure function: `(outputs, non_trainable_variables[, losses])`.

        The two sequences hold values in the order of the properties of the same names.
        """
        if not self.built:
            raise ValueError(f"Layer '{self.name}' must be built before stateless_call().")
        trainable, others = self.trainable_variables, self.non_trainable_variables
        for name, variables, values in (
            ("trainable_variables", trainable, trainable_variables),
            ("non_trainable_variables", others, non_trainable_variables),
        ):
            if len(values) != len(variables):
                raise ValueError(
                    f"{name} must hold {len(variables)} values. Received: {len(values)}"
                )
        values = [v._raw_value if isinstance(v, nnx.Variable) else v
                  for v in (*trainable_variables, *non_trainable_variables)]  # fmt: skip

        def run() -> tuple[Any, list[Any]]:
            outputs = self(*args, **kwargs)
            return outputs, self.losses if return_losses else []

        counted = self.metrics_variables  # Updates of metrics are discarded.
        pure = lowering.lower(run, [*trainable, *others, *counted], roots=[self])
        (outputs, losses), new = pure([*values, *lowering.values_of(counted)])
        others_new = list(new[len(trainable) : len(values)])
        return (outputs, others_new, losses) if return_losses else (outputs, others_new)

    # -- configuration ------------------------------------------------------------------------

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The layer described by a config of `get_config()`. A policy that is neither a map nor one
        of quantization is passed to the constructor by name."""
        arguments = serialization.deserialize_arguments(cls, config)
        if type(arguments.get("dtype")) in (policies.DTypePolicy, policies.FloatDTypePolicy):
            arguments["dtype"] = arguments["dtype"].name
        return cls(**arguments)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.autocast or type(self).__module__.partition(".")[0] == "keraslike":
            config.pop("autocast", None)
        if not self._saves_activity_regularizer and self.activity_regularizer is None:
            config.pop("activity_regularizer", None)
        if "dtype" in config:
            config["dtype"] = serialization.serialize(self.dtype_policy)
        return config


def guard_quantize(quantize: Callable) -> Callable:
    """Wraps a class's own `quantize`, which adds variables to a built layer."""

    @functools.wraps(quantize)
    def guarded(self: Layer, *args: Any, **kwargs: Any) -> None:
        with self._adding_variables():
            quantize(self, *args, **kwargs)

    return guarded
