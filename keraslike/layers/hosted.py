"""Layers that another library computes on the host: modules of PyTorch and SavedModels of
TensorFlow. The library must be installed, and each training step calls it from the compiled
program."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import threading
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import context, dtypes, serialization
from keraslike.core.foreign import library as _library
from keraslike.core.rng import SeedGenerator
from keraslike.core.tensorflow_host import Arguments, HostedModel
from keraslike.core.tensorflow_server import packed
from keraslike.core.variable import spec_of
from keraslike.layers.layer import Layer


class _Hosted(Layer):
    """Base of layers whose outputs, state updates and gradients are functions of numpy arrays.

    A subclass has `_parameter_variables` and `_state_variables`, lists of Variables. `_compute`
    returns the outputs and the new values of `_state_variables`, which are assigned in training.
    `values` are the values of the two lists and of the arguments; `how` consists of the structure
    of the arguments, whether it is a training call, and a seed.
    """

    _untracked = Layer._untracked | {"_specs", "_lock"}
    _transient = Layer._transient | {"_specs", "_lock"}
    _parameter_variables: list[Any]
    _state_variables: list[Any]

    def _compute(self, values: tuple, how: tuple) -> tuple[Any, list]:
        raise NotImplementedError

    def _derive(self, values: tuple, how: tuple, cotangents: list) -> list[Any]:
        """The gradients by trainable values and inputs, with `None` where there is none."""
        raise NotImplementedError

    def _hosted(self, arguments: Any, training: bool, seed: jax.Array) -> Any:
        """The outputs for a structure of arrays; `_state_variables` are updated."""
        context.needs_python(self.name)
        inputs, structure = jax.tree.flatten(arguments)
        trained = [v.value for v in self._parameter_variables]
        others = [v.value for v in self._state_variables]
        everything = jax.tree.map(_wide, (trained, others, inputs))
        spec = self._spec(everything, structure, training)
        lock = vars(self).setdefault("_lock", threading.RLock())

        def compute(values: Any, seed: Any) -> Any:
            with lock:
                values, seed = jax.tree.map(_to_numpy, (values, seed))
                outputs, new = self._compute(values, (structure, training, int(seed[1])))
            return jax.tree.map(lambda a, s: np.asarray(a, s.dtype), (outputs, new), spec)

        def derive(values: Any, seed: Any, cotangents: Any) -> Any:
            with lock:
                values, seed, given = jax.tree.map(_to_numpy, (values, seed, cotangents))
                how = (structure, training, int(seed[1]))
                found = self._derive(values, how, jax.tree.leaves(given))
            wanted = [*values[0], *values[2]]
            return [
                np.zeros(v.shape, v.dtype) if g is None else np.asarray(g, v.dtype)
                for g, v in zip(found, wanted, strict=True)
            ]

        @jax.custom_vjp
        def run(values: Any, seed: Any) -> Any:
            return jax.pure_callback(compute, spec, values, seed, vmap_method="sequential")

        def forward(values: Any, seed: Any) -> Any:
            return run(values, seed), (values, seed)

        def backward(kept: Any, cotangents: Any) -> Any:
            values, seed = kept
            wanted = [*values[0], *values[2]]
            specs = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in wanted]
            found = jax.pure_callback(
                derive, specs, values, seed, cotangents[0], vmap_method="sequential"
            )
            n = len(values[0])
            grads = [g if dtypes.is_float(g.dtype) else _no_gradient(g) for g in found]
            others = [
                jnp.zeros_like(v) if dtypes.is_float(v.dtype) else _no_gradient(v)
                for v in values[1]
            ]
            return (grads[:n], others, grads[n:]), _no_gradient(seed)

        run.defvjp(forward, backward)
        outputs, new = run(everything, seed)
        for variable, value in zip(self._state_variables, new) if training else ():
            variable.assign(jax.lax.stop_gradient(value).astype(spec_of(variable).dtype))
        narrow = self.compute_dtype
        return jax.tree.map(lambda a: a.astype(narrow) if dtypes.is_float(a.dtype) else a, outputs)

    def _spec(self, values: Any, structure: Any, training: bool) -> Any:
        """The shapes and dtypes of the outputs, determined by one computation on zeros."""
        shapes = [(tuple(v.shape), str(v.dtype)) for v in jax.tree.leaves(values)]
        key = (str(shapes), structure, training)
        specs = vars(self).setdefault("_specs", {})
        if key not in specs:
            # A symbolic size raises here, and numbers are tried in its place.
            zeros = jax.tree.map(lambda v: np.zeros([int(n) for n in v.shape], v.dtype), values)
            outputs = self._compute(zeros, (structure, training, 0))
            specs[key] = jax.tree.map(
                lambda a: jax.ShapeDtypeStruct(a.shape, jax.dtypes.canonicalize_dtype(a.dtype)),
                outputs,
            )
        return specs[key]


def _wide(value: jax.Array) -> jax.Array:
    return value.astype("float32") if dtypes.is_half(value.dtype) else value


def _to_numpy(value: Any) -> np.ndarray:
    return np.array(value)  # A copy, since the other library may change it in place.


def _no_gradient(value: Any) -> np.ndarray:
    return np.zeros(value.shape, jax.dtypes.float0)


class TorchModuleWrapper(_Hosted):
    """A PyTorch module as a trainable layer.

    Args:
        module: a `torch.nn.Module`; a lazy module must have been called before.
        name: a name.
        output_shape: the shape of the outputs, if the module cannot be tested on zeros.

    Copies of its parameters become trainable weights, and copies of its buffers non-trainable ones.
    The module runs on the CPU; a model made of keraslike's layers is faster. It is in training mode
    only with `training=True`. A file contains it pickled, and can only be loaded with
    `safe_mode=False`.

    Raises ImportError if PyTorch is not installed, and ValueError for other objects.

    Example (with PyTorch):

        TorchModuleWrapper(torch.nn.Linear(3, 2))
    """

    def __init__(
        self,
        module: Any,
        name: str | None = None,
        output_shape: Sequence[int | None] | None = None,
        **kwargs: Any,
    ):
        torch = _library("torch", "TorchModuleWrapper")
        super().__init__(name=name, **kwargs)
        if not isinstance(module, torch.nn.Module):
            raise ValueError(f"module must be a torch.nn.Module. Received: module={module!r}")
        lazy = torch.nn.modules.lazy.LazyModuleMixin
        if isinstance(module, lazy) and module.has_uninitialized_params():
            raise ValueError(
                "Lazy modules without parameters are not supported: call the module once before. "
                f"Received: module={module}"
            )
        self.module = module.cpu()
        self.output_shape = None if output_shape is None else tuple(output_shape)
        self.seed_generator = SeedGenerator()
        named = dict(module.named_parameters())
        self._names = [[k for k, p in named.items()], [k for k, _ in module.named_buffers()]]
        self._parameter_variables = [self._made(k, p, p.requires_grad) for k, p in named.items()]
        self._state_variables = [self._made(k, b, False) for k, b in module.named_buffers()]
        self.built = True

    def _made(self, name: str, tensor: Any, trainable: bool) -> Any:
        value = tensor.detach().cpu().numpy()
        dtype = None if dtypes.is_float(value.dtype) else str(jnp.asarray(value).dtype)
        name = name.replace(".", "_")
        return self.add_weight(value.shape, value, dtype, trainable=trainable, name=name)

    def call(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        seed = self.seed_generator.next() if training else jnp.zeros(2, "uint32")
        return self._hosted((args, kwargs), bool(training), seed)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        if self.output_shape is not None:
            return self.output_shape
        return super().compute_output_shape(*args, **kwargs)

    @contextlib.contextmanager
    def _ready(self, training: bool, seed: int) -> Any:
        torch = _library("torch", "TorchModuleWrapper")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module.train(training)
            yield torch

    def _applied(self, torch: Any, values: list, how: tuple) -> Any:
        trained, others, inputs = values
        names = [*self._names[0], *self._names[1]]
        args, kwargs = jax.tree.unflatten(how[0], inputs)
        state = dict(zip(names, [*trained, *others], strict=True))
        outputs = torch.func.functional_call(self.module, state, args, kwargs)
        return outputs, [state[name] for name in self._names[1]]

    def _compute(self, values: tuple, how: tuple) -> tuple[Any, list]:
        with self._ready(how[1], how[2]) as torch, torch.no_grad():
            given = [[torch.from_numpy(v) for v in part] for part in values]
            found = self._applied(torch, given, how)
        return jax.tree.map(lambda t: t.numpy(), found)

    def _derive(self, values: tuple, how: tuple, cotangents: list) -> list[Any]:
        with self._ready(how[1], how[2]) as torch, torch.enable_grad():
            given = [[torch.from_numpy(v) for v in part] for part in values]
            asked = [t for t in (*given[0], *given[2]) if t.is_floating_point()]
            for tensor in asked:
                tensor.requires_grad_()
            outputs = jax.tree.leaves(self._applied(torch, given, how)[0])
            pairs = [
                (o, torch.from_numpy(c)) for o, c in zip(outputs, cotangents) if o.requires_grad
            ]
            found = [None] * len(asked)
            if pairs:
                of, along = zip(*pairs)
                found = torch.autograd.grad(of, asked, along, allow_unused=True)
        grads = dict(zip(map(id, asked), found, strict=True))
        tensors = [grads.get(id(t)) for t in (*given[0], *given[2])]
        return [None if t is None else t.numpy() for t in tensors]

    @property
    def _has_own_format(self) -> bool:
        return True

    def _by_name(self) -> dict[str, Any]:
        return dict(
            zip(
                [*self._names[0], *self._names[1]],
                [*self._parameter_variables, *self._state_variables],
            )
        )

    def save_own_variables(self, store: Any) -> None:
        store.update(self._by_name())

    def load_own_variables(self, store: Any) -> None:
        own = self._by_name()
        found = {name: tuple(store[name].shape) for name in store.keys()}  # noqa: SIM118
        if found != {name: v.shape for name, v in own.items()}:
            raise ValueError(
                f"Layer '{self.name}' has weights of shapes {[v.shape for v in own.values()]} by "
                f"the names {list(own)}; the file has {found}."
            )
        for name, variable in own.items():
            variable.assign(store[name])

    def get_config(self) -> dict[str, Any]:
        torch = _library("torch", "TorchModuleWrapper")
        config = super().get_config()
        buffer = io.BytesIO()
        torch.save(self.module, buffer)
        config["module"] = base64.b64encode(buffer.getvalue()).decode("ascii")
        return config

    def _constructor_args(self) -> dict[str, Any]:
        args = super()._constructor_args()
        args["module"] = None  # get_config() adds it.
        return args

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TorchModuleWrapper:
        serialization.refuse_unless_trusted("a pickled module of PyTorch")
        torch = _library("torch", "TorchModuleWrapper")
        data = io.BytesIO(base64.b64decode(config["module"]))
        return cls(**{**config, "module": torch.load(data, weights_only=False)})


class TFSMLayer(_Hosted):
    """A TensorFlow SavedModel as a trainable layer.

    Args:
        filepath: the folder of the SavedModel.
        call_endpoint: the function to call: an attribute of the SavedModel or one of its
            signatures.
        call_training_endpoint: the function to call with `training=True`; the same by default.

    Copies of its variables become weights. The function runs in a separate process with TensorFlow.
    A file contains only the path, and can only be loaded with `safe_mode=False`.

    Raises ImportError if TensorFlow is not installed, and ValueError for an unknown endpoint.

    Example (with TensorFlow):

        TFSMLayer("saved_model/", call_endpoint="serving_default")
    """

    def __init__(
        self,
        filepath: str | os.PathLike,
        call_endpoint: str = "serve",
        call_training_endpoint: str | None = None,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
        *,
        tags: Sequence[str] | None = None,
    ):
        super().__init__(trainable=trainable, name=name, dtype=dtype)
        self.filepath = os.fspath(filepath)
        self.call_endpoint, self.call_training_endpoint = call_endpoint, call_training_endpoint
        self._loaded = HostedModel(self.filepath, tags)
        found: set[int] = set()
        for endpoint in (call_endpoint, *filter(None, [call_training_endpoint])):
            found.update(self._endpoint(endpoint)["variables"])
        about = self._loaded.variables
        # Trainable variables come first, as in the arguments of `_compute`.
        self._numbers = sorted(found, key=lambda n: (not about[n]["trainable"], n))
        made = [self._made(n, about[n]) for n in self._numbers]
        split = sum(about[n]["trainable"] for n in found)
        self._parameter_variables, self._state_variables = made[:split], made[split:]
        self.built = True

    def _made(self, number: int, about: dict[str, Any]) -> Any:
        value = self._loaded.values[number]
        dtype = None if dtypes.is_float(value.dtype) else str(jnp.asarray(value).dtype)
        name = about["name"].replace("/", "_")
        return self.add_weight(value.shape, value, dtype, trainable=about["trainable"], name=name)

    def _endpoint(self, name: str) -> dict[str, Any]:
        for names in ((name,), ("signatures", name)):
            node = self._loaded.node(*names)
            if node is not None and node["kind"] == "function":
                return node
        signatures = self._loaded.node("signatures") or {"children": {}}
        raise ValueError(
            f"The SavedModel at '{self.filepath}' has no endpoint '{name}', neither as an "
            f"attribute nor among its signatures, {list(signatures['children'])}."
        )

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        return self._hosted(inputs, bool(training), jnp.zeros(2, "uint32"))

    def _options(self, node: dict[str, Any], training: bool) -> dict[str, Any]:
        """Keyword arguments of the function besides the inputs."""
        return {}

    def _asked(self, values: tuple, how: tuple) -> tuple[Any, ...]:
        """The endpoint, its arguments and the values of its variables."""
        trained, others, inputs = values
        name = (self.call_training_endpoint if how[1] else None) or self.call_endpoint
        node, leaves = self._endpoint(name), []
        arguments = jax.tree.unflatten(how[0], inputs)
        # A signature, which accepts keyword arguments only.
        if "inputs" in node and isinstance(arguments, dict):
            given = ((), {**arguments, **self._options(node, how[1])})
        else:
            given = ((arguments,), self._options(node, how[1]))
        structure = packed(given, leaves, lambda x: isinstance(x, np.ndarray))
        known = dict(zip(self._numbers, [*trained, *others], strict=True))
        return node, Arguments(structure, leaves), [known[n] for n in node["variables"]]

    def _compute(self, values: tuple, how: tuple) -> tuple[Any, list]:
        trained, others, _ = values
        outputs, changed = self._loaded.call(*self._asked(values, how), trial=True)
        numbers = self._numbers[len(trained) :]
        return outputs, [changed.get(n, value) for n, value in zip(numbers, others, strict=True)]

    def _derive(self, values: tuple, how: tuple, cotangents: list) -> list[Any]:
        trained, _, inputs = values
        node, arguments, now = self._asked(values, how)
        along = [c for c in cotangents if dtypes.is_float(c.dtype)]
        found = self._loaded.derive(node, arguments, now, along)
        by_number = dict(zip(node["variables"], found))
        by_input = dict(zip(map(id, arguments.inputs), found[len(now) :], strict=True))
        return [
            *(by_number.get(n) for n in self._numbers[: len(trained)]),
            *(by_input[id(x)] for x in inputs),
        ]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TFSMLayer:
        serialization.refuse_unless_trusted("the path of a SavedModel")
        return cls(**config)
