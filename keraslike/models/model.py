"""`Model`: a group of layers that can be trained, saved and inspected."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any, ClassVar, cast

import jax

from keraslike.core import json_texts, precision, registry, serialization
from keraslike.core.annotations import checked
from keraslike.core.arguments import warn_user
from keraslike.core.structures import tree_map
from keraslike.core.symbolic import KerasTensor
from keraslike.core.tracebacks import entry, is_ours
from keraslike.layers.layer import Layer
from keraslike.models.graph import Graph, trace_graph
from keraslike.models.graph_config import from_graph_config, graph_config, is_graph_config
from keraslike.models.summary import print_summary
from keraslike.quantizers.calibration import calibrate, check_calibration
from keraslike.quantizers.configs import should_quantize_layer, validate_and_resolve_config
from keraslike.training.trainer import Trainer


class Model(Trainer):
    """A model: `Model(inputs, outputs)` of symbolic tensors, or a subclass with a `call`.

    Args:
        inputs, outputs: symbolic tensors, or lists or dicts of them.
        name: a name; generated if it is omitted.

    >>> from keraslike.layers import Dense, Input
    >>> x = Input((8,))
    >>> model = Model(x, Dense(1)(Dense(4, activation="relu")(x)))
    >>> model.count_params(), model.output_shape
    (41, (None, 1))
    """

    _untracked = Trainer._untracked | {"_inputs", "_outputs"}
    _tensor_graph: Graph | None = None
    _operations: list[Any] = []
    _says_shapes = False
    _is_sequential = False  # True in `Sequential`, which this module cannot import.
    _functional_class: ClassVar[Any]  # `Functional`, which this module cannot import either.

    def __new__(cls, *args: Any, **kwargs: Any):
        if cls is Model and (args or "inputs" in kwargs or "outputs" in kwargs):
            return super().__new__(cls._functional_class, *args, **kwargs)  # type: ignore[arg-type]
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any):
        graph = dict(zip(("inputs", "outputs"), args))
        graph |= {k: kwargs.pop(k) for k in ("inputs", "outputs") if k in kwargs}
        if graph:
            known = inspect.signature(Layer.__init__).parameters
            ignored = {k: kwargs.pop(k) for k in list(kwargs) if k not in known}
            if ignored:
                warn_user(f"A model of inputs and outputs ignores the arguments {ignored}.")
        super().__init__(**kwargs)
        if graph:
            if set(graph) != {"inputs", "outputs"} or len(args) > 2:
                raise ValueError("Model() needs inputs and outputs, or a subclass with a call().")
            self._set_graph(graph["inputs"], graph["outputs"])

    def _set_graph(self, inputs: Any, outputs: Any) -> None:
        self._tensor_graph, self._operations = trace_graph(inputs, outputs)
        self._inputs, self._outputs = inputs, outputs
        self.autocast = False  # The graph's inputs determine the dtypes.
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        if self._tensor_graph is None:
            return super().call(*args, **kwargs)
        return self._run_graph(*args, **kwargs)

    def _run_graph(self, inputs: Any, training: Any = None, mask: Any = None, **_: Any) -> Any:
        return cast(Graph, self._tensor_graph).run(self._operations, inputs, self.name, mask)

    def _traced_spec(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        own_call = not is_ours(type(self).call, "models")
        if self._tensor_graph is None or not args or own_call or kwargs.get("mask") is not None:
            return super()._traced_spec(args, kwargs)
        # Each operation is asked for its shapes in turn, so that symbolic sizes stay simple.
        return self._tensor_graph.output_spec(self._operations, args[0], self.name)

    def _has_call(self) -> bool:
        return self._tensor_graph is not None or type(self).call is not Model.call

    def _check_open(self, what: str) -> None:
        if self._tensor_graph is None:  # Operations outside of the graph do not affect its outputs.
            super()._check_open(what)

    def _check_positional(self, argument: Any) -> None:
        if self._tensor_graph is None:
            super()._check_positional(argument)

    # -- what it is made of -------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers directly below the model, each once; without the Input for a Sequential, and
        those of the graph for a functional model."""
        return self._listed_layers()

    @layers.setter
    def layers(self, value: Any) -> None:
        raise AttributeError(
            "`Model.layers` attribute is reserved: keep your layers under another name. "
            "Use `add()` and `pop()` to change those of a Sequential."
        )

    def _listed_layers(self) -> list[Layer]:
        if self._tensor_graph is None:
            return self._sublayers
        return [o for o in self._operations if isinstance(o, Layer)]

    @checked
    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or by index; raises ValueError if there is none."""
        if (name is None) == (index is None):
            raise ValueError("get_layer() takes a name or an index, one of them.")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"index={index}, but the model has {len(self.layers)} layers.")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"No layer is named {name!r}. There are: {[x.name for x in self.layers]}.")

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs of a model with a graph."""
        return jax.tree.leaves(self._symbolic_tensors("_inputs"))

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs of a model with a graph."""
        return jax.tree.leaves(self._symbolic_tensors("_outputs"))

    def _symbolic_tensors(self, which: str) -> Any:
        found = vars(self).get(which)
        if found is None:
            raise AttributeError(f"Model '{self.name}' has no graph of symbolic tensors.")
        return found

    @property
    def input(self) -> Any:
        return self._symbolic_tensors("_inputs") if "_inputs" in vars(self) else super().input

    @property
    def output(self) -> Any:
        return self._symbolic_tensors("_outputs") if "_outputs" in vars(self) else super().output

    # Private names of Keras's, which KerasHub uses.
    _inputs_struct = property(lambda self: self._symbolic_tensors("_inputs"))
    _outputs_struct = property(lambda self: self._symbolic_tensors("_outputs"))

    @property
    def input_shape(self) -> Any:
        return self._shapes_of("_inputs", "input")

    @property
    def output_shape(self) -> Any:
        return self._shapes_of("_outputs", "output")

    def _shapes_of(self, own: str, of_first_call: str) -> Any:
        if own not in vars(self):
            return tree_map(lambda t: tuple(t.shape), getattr(self, of_first_call))
        tensors = jax.tree.leaves(self._symbolic_tensors(own))  # In any structure.
        shapes = [tuple(t.shape) for t in tensors]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def input_names(self) -> list[str]:
        return [i.name for i in self._tensor_graph.inputs] if self._tensor_graph is not None else []

    @property
    def output_names(self) -> list[str] | None:
        return self._tensor_graph.output_names if self._tensor_graph is not None else None

    def build(self, input_shape: Any = None, **shapes: Any) -> None:
        """Creates all weights of a model, from the shape of its input, or from those of several by
        the names in its `call`, as `x_shape`."""
        if self._tensor_graph is None:
            self._build_by_call(
                *(() if input_shape is None and shapes else (input_shape,)), **shapes
            )

    build.of_one_input = True  # type: ignore[attr-defined]

    @checked
    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Prints a table of the layers, their output shapes and numbers of parameters.

        Args:
            line_length: the width of the table in characters.
            positions: the end of each column, as fractions of the width or in characters.
            print_fn: a function that receives the text instead.
            expand_nested: whether to list the layers of nested models.
            show_trainable: whether to add a column that shows which layers are trainable.
            layer_range: the first and the last layer to show, by name or by a regular expression
                that matches the beginning of a name.

        Raises ValueError for positions that are not increasing or too few, and for a range of
        layers that do not exist.
        """
        print_summary(
            self, line_length, print_fn, expand_nested, show_trainable, positions, layer_range
        )

    # -- quantization -------------------------------------------------------------------------

    def get_quantization_layer_structure(self, mode: str | None = None) -> Any:
        """The layers that GPTQ and AWQ process sequentially. A user-defined model may override it
        and return `{"pre_block_layers": [...], "sequential_blocks": [...]}`."""
        return None

    @entry
    def quantize(  # type: ignore[override]
        self, mode: str | None = None, config: Any = None, filters: Any = None, **kwargs: Any
    ) -> None:
        """Quantizes the weights of the layers that support it; see `keraslike.quantizers`.

        Args:
            mode: `"int8"`, `"int4"`, `"float8"`, `"gptq"` or `"awq"`.
            config: a configuration, which may contain the mode as well; required for `"gptq"` and
                `"awq"`.
            filters: a regular expression, or a list of them, to search for in the names of layers,
                or a predicate of layers.
            type_check: whether to skip layers of user-defined classes.

        A warning names layers with weights that are not quantized. Raises ValueError, without
        changes, for an unknown mode and for layers that are not built or already quantized.

        >>> from keraslike.layers import Dense, Input
        >>> x = Input((8,))
        >>> model = Model(x, Dense(4)(x))
        >>> model.quantize("int8")
        >>> model.layers[1].quantization_mode, str(model.layers[1].kernel.dtype)
        ('int8', 'int8')
        """
        type_check = kwargs.pop("type_check", True)
        if kwargs:
            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}"
            )
        if filters is not None and not isinstance(filters, (str, list, tuple, Callable)):
            raise ValueError(
                "`filters` must be a regular expression, a list of them, or a callable. "
                f"Received: {filters!r}"
            )
        config = validate_and_resolve_config(mode, config)
        mode, structure = config.mode, None
        of: Any = [self]
        if mode in ("gptq", "awq"):
            structure = getattr(config, "quantization_layer_structure", None)
            structure = structure or self.get_quantization_layer_structure(mode)
            check_calibration(config, structure)
            of = structure["sequential_blocks"]
        found = {id(layer): layer for block in of for layer in block._flatten_layers()}
        chosen = [
            layer
            for layer in found.values()
            if layer is not self
            and not layer._sublayers
            and should_quantize_layer(layer, filters)
            and (layer.weights or not layer.built)
        ]
        for layer in chosen:
            layer._check_quantize(mode)
        for layer in chosen:
            try:
                layer.quantize(mode, type_check=type_check, config=config)
            except NotImplementedError as error:
                warn_user(str(error))
        if structure is not None:
            calibrate(config, structure, filters)

    # -- saving -------------------------------------------------------------------------------

    @checked
    def save(
        self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
    ) -> None:
        """Saves architecture, weights, compile arguments and optimizer state to a `.keras` file, or
        to one in the older format that ends in `.h5`; with `zipped=False` to a folder."""
        save_model(self, filepath, overwrite, zipped, **kwargs)

    @checked
    def save_weights(
        self,
        filepath: Any,
        overwrite: bool = True,
        max_shard_size: int | float | None = None,
    ) -> None:
        """Saves the weights to a `.weights.h5` or a `.safetensors` file, or to several files of at
        most `max_shard_size` GB, listed in a `.weights.json`."""
        serialization.get("saving", "save_weights")(self, filepath, overwrite, max_shard_size)

    @checked
    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Loads weights that `save_weights` or `save` of an equal model wrote, or the named weights
        of a `.safetensors` file; see `keraslike.saving.load_weights`."""
        serialization.get("saving", "load_weights")(self, filepath, skip_mismatch, **kwargs)

    @entry
    @precision.kept
    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Exports the call of the model as the endpoint `serve`, which runs without the model's
        code.

        Args:
            filepath: the path of the folder, or of the file for ONNX, OpenVINO or LiteRT.
            format: `"stablehlo"`, for `keras.saving.load_exported` and plain JAX;
                `"tf_saved_model"`, which needs TensorFlow; `"onnx"`; `"openvino"`, an `.xml` file
                with its weights in a `.bin` file; `"litert"`, a `.tflite` file for mobile devices,
                which needs TensorFlow; or `"tfjs"`, a folder for TensorFlow.js: a layers model if
                that has all of the model's layers and there is no `input_signature`, otherwise a
                graph model.
            verbose: whether to print the endpoint, which is the default.
            input_signature: a list with a structure of `keras.InputSpec` for each argument, by
                default that of the model's inputs.
            platforms: the platforms to support, of `"cpu"`, `"cuda"`, `"rocm"` and `"tpu"`.
            kwargs: with the format `"litert"`, attributes of `tf.lite.TFLiteConverter`, such as
                `optimizations=["DEFAULT"]`, `representative_dataset` and `target_spec`.

        Raises ValueError for a model that was never called, and for one with a layer that computes
        on the host; ImportError if a package that the format needs is not installed.
        """
        write = serialization.get("export", "export_model")
        write(self, filepath, format, verbose, input_signature, **kwargs)

    @entry
    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON text, for `model_from_json`."""
        return json.dumps(serialization.serialize(self), **kwargs)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        with registry.custom_object_scope(custom_objects or {}):
            if is_graph_config(config) and (
                cls is Model or issubclass(cls, cls._functional_class) or takes_graph(cls)
            ):
                return from_graph_config(cls, config)
            return super().from_config(config)

    def get_config(self) -> dict[str, Any]:
        if self._tensor_graph is not None and takes_graph(type(self)):
            return graph_config(self)
        return super().get_config()


def takes_graph(cls: type) -> bool:
    """Whether a class is constructed from inputs and outputs: it has `Model`'s constructor, or one
    that takes `(inputs, outputs, name)` or `(*args, **kwargs)`."""
    of = next(c for c in cls.__mro__ if "__init__" in vars(c))
    if is_ours(of, "models"):
        return True
    _, *parameters = inspect.signature(cls.__init__).parameters.values()
    kinds = {p.kind for p in parameters}
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    passed_on = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD} <= kinds
    return names == ["inputs", "outputs", "name"] or passed_on and not names


# `keras.models` has these names as well. They are implemented in `keraslike.saving`, which this
# package must not import.


@entry
def save_model(
    model: Model, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
) -> None:
    """Saves a model: see `keraslike.saving.save_model`.

    >>> import io, keraslike
    >>> file = io.BytesIO()
    >>> save_model(keraslike.Sequential([keraslike.Input((3,)), keraslike.layers.Dense(2)]), file)
    >>> file.getvalue()[:2]
    b'PK'
    """
    serialization.get("saving", "save_model")(model, filepath, overwrite, zipped, **kwargs)


@entry
def load_model(
    filepath: Any,
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Model:
    """Loads a model from a file: see `keraslike.saving.load_model`.

    >>> import io, keraslike
    >>> file = io.BytesIO()
    >>> save_model(keraslike.Sequential([keraslike.Input((3,)), keraslike.layers.Dense(2)]), file)
    >>> _ = file.seek(0)
    >>> load_model(file).layers[0].units
    2
    """
    return serialization.get("saving", "load_model")(filepath, custom_objects, compile, safe_mode)


@checked
def model_from_json(json_string: str, custom_objects: dict[str, Any] | None = None) -> Model:
    """The model whose `to_json()` this is, in any version of Keras, with new weights.

    Raises ValueError for an object that is not a JSON of a model, TypeError where `custom_objects`
    lacks a name.

    >>> import keraslike
    >>> text = keraslike.Sequential([keraslike.layers.Dense(2)]).to_json()
    >>> model_from_json(text).layers[0].units
    2
    """
    with registry.custom_object_scope(custom_objects or {}):
        config = serialization.get("saving", "modern_config")(json_texts.parse_json(json_string))
        return serialization.deserialize(config)
