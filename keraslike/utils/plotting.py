"""`plot_model`: draws a model as boxes and arrows with matplotlib."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import Literal

from keraslike.core import base, context, lowering, rng, symbolic
from keraslike.core.boxed import unbox
from keraslike.core.flax_internals import TraceState
from keraslike.core.operation import FunctionOperation
from keraslike.core.symbolic import KerasTensor
from keraslike.core.tracebacks import entry
from keraslike.layers.layer import Layer
from keraslike.models import Sequential
from keraslike.utils.drawing import LINES, Graph, Node, Shown, draw


@entry
def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Any:
    """Draws a built model, or any built layer, to a file.

    Every call of a layer is a box, and other operations are small rounded boxes. The calls and
    operations are found by tracing the model, so `call` may contain any JAX code.

    Args:
        to_file: a path that ends in `.png`, `.svg`, `.pdf` or another format of matplotlib.
        show_shapes, show_dtype: whether boxes show shapes and dtypes.
        show_layer_names: whether boxes show names beside classes.
        rankdir: the direction of arrows: `"TB"` (down), `"BT"`, `"LR"` (right) or `"RL"`.
        expand_nested: whether layers that contain layers are drawn as frames around them.
        dpi: dots per inch.
        show_layer_activations, show_trainable: whether boxes show activations, and whether the
            layer is trainable.
        splines: the shape of arrows: `"ortho"` (right angles), `"curved"`, `"spline"`, `"line"` or
            `"polyline"`.

    Returns the picture for display in IPython, or `None` without IPython and for other formats.

    Raises ValueError for a model without weights, and for an unknown file format or direction;
    ImportError without matplotlib.

    >>> import keraslike, os, tempfile
    >>> model = keraslike.Sequential([keraslike.Input((8,)), keraslike.layers.Dense(1)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     picture = plot_model(model, os.path.join(folder, "model.svg"), show_shapes=True)
    ...     os.listdir(folder)
    ['model.svg']
    """
    if rankdir not in ("TB", "BT", "LR", "RL"):
        raise ValueError(f"rankdir must be 'TB', 'BT', 'LR' or 'RL'. Received: {rankdir!r}")
    if splines not in LINES:
        raise ValueError(f"splines must be one of {sorted(LINES)}. Received: {splines!r}")
    if not isinstance(model, Layer):
        raise ValueError(f"model must be a model or a layer. Received: {model!r}")
    path = os.fspath(to_file)
    form = os.path.splitext(path)[1][1:].lower() or "png"
    try:
        from matplotlib.figure import Figure
    except ImportError as e:
        raise ImportError("plot_model() draws with matplotlib: pip install matplotlib") from e
    figure = Figure(dpi=dpi)
    if form not in figure.canvas.get_supported_filetypes():
        raise ValueError(
            "to_file must end in .png, .svg, .pdf or another format of matplotlib. "
            f"Received: to_file={path!r}"
        )
    shown = Shown(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    graph = traced(model, expand_nested)
    draw(figure, graph, shown, rankdir, splines)
    most = _MOST_PIXELS / max(figure.get_size_inches())
    figure.savefig(path, format=form, dpi=dpi if form in ("svg", "pdf") else min(dpi, most))
    try:
        from IPython import display
    except ImportError:
        return None
    if form == "svg":
        return display.SVG(filename=path)
    return display.Image(filename=path, format=form) if form in _IMAGES else None


# -- the graph of a model ---------------------------------------------------------------------


class _Recorder:
    """Marks in a trace where the calls of layers begin and end.

    A mark is an identity operation with a name. The operations between the first and the last mark
    of a call belong to that layer, others to the model itself.
    """

    def __init__(self, model: Layer, expand: bool):
        self.model, self.expand = model, expand
        self.calls: list[Any] = []  # the layer or operation of each call
        self.marked: list[Any] = []  # outputs of marks, which the trace returns to keep the marks
        self.inside = 0  # the depth of calls within a layer that is drawn as one box
        self.trace: Any = None

    def start(self) -> None:
        self.calls, self.marked, self.inside = [], [], 0
        self.trace = TraceState()

    def is_open(self, operation: Any) -> bool:
        return self.expand and isinstance(operation, Layer) and bool(operation._sublayers)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        objects = [o for o in base.iter_objects(self.model) if isinstance(o, Layer)]
        watched: dict[int, tuple[Any, str]] = {id(o): (o, "call") for o in objects[1:]}
        for operation in (op for o in objects for op in getattr(o, "_operations", ())):
            if isinstance(operation, FunctionOperation):
                watched[id(operation)] = (operation, "function")
        before = [(vars(op), name, vars(op).get(name)) for op, name in watched.values()]
        try:
            for operation, name in watched.values():
                vars(operation)[name] = self._watched(operation, getattr(operation, name))
            with context.using(losses=context.Attached()):  # losses of this trace are discarded
                yield
        finally:
            for attributes, name, value in before:
                attributes.pop(name, None)
                if value is not None:
                    attributes[name] = value

    def _watched(self, operation: Any, call: Callable) -> Callable:
        def watched(*args: Any, **kwargs: Any) -> Any:
            # Nothing can be marked within a jit, scan or vmap in the model's code.
            if self.inside or not self.trace.is_valid():
                return call(*args, **kwargs)
            number = len(self.calls)
            self.calls.append(operation)
            args, kwargs = self._mark((args, kwargs), f"begin {number}")
            closed = not self.is_open(operation)
            self.inside += closed
            try:
                outputs = unbox(call(*args, **kwargs))
            finally:
                self.inside -= closed
            return self._mark(outputs, f"end {number}")

        return watched

    def _mark(self, tree: Any, name: str) -> Any:
        def mark(x: Any) -> Any:
            if not isinstance(x, jax.Array):
                return x
            y = checkpoint_name(x, _MARK + name)
            self.marked.append(y)
            context.set_mask(y, context.get_mask(x))
            return y

        # A call without tensors among its arguments or outputs needs marks as well.
        self.marked.append(checkpoint_name(jax.numpy.zeros(()), f"{_MARK}{name} border"))
        return jax.tree.map(mark, tree)


_IMAGES = ("png", "jpg", "jpeg", "gif")  # the formats of IPython's Image
_MOST_PIXELS = 30_000  # the maximum of a side; matplotlib's own limit is 65,536
_MARK = "keraslike plot: "


def traced(model: Layer, expand: bool) -> Graph:
    """The graph of the calls that a call of the model makes."""
    args, kwargs, names = _symbolic_inputs(model)
    recorder = _Recorder(model, expand)
    found: list[Any] = []

    given, structure = jax.tree.flatten((args, kwargs))
    places = [i for i, x in enumerate(given) if isinstance(x, KerasTensor)]
    variables = base.variables_of(model, rng.global_stream())

    def run(*tensors: Any) -> Any:
        recorder.start()
        values = list(given)
        for i, tensor in zip(places, tensors):
            values[i] = tensor
        a, k = jax.tree.unflatten(structure, values)
        call = lowering.lower(lambda: model(*a, **k), variables, roots=[model])
        with context.using(training=False):
            outputs = call(lowering.values_of(variables))[0]
        return jax.tree.leaves(outputs), recorder.marked

    def traced(*tensors: Any) -> Any:
        closed, shapes = jax.make_jaxpr(run, return_shape=True)(*tensors)
        found.append((closed.jaxpr, len(shapes[0]), list(recorder.calls)))
        return tensors

    with recorder.watching():
        symbolic.output_spec(traced, tuple(given[i] for i in places), {})
    jaxpr, n_outputs, calls = found[-1]
    # If JAX cannot trace unknown sizes, there are two traces with different numbers for them.
    other = found[-2][0] if len(found) > 1 and len(found[-2][0].eqns) == len(jaxpr.eqns) else jaxpr
    graph = _read(jaxpr, other, n_outputs, calls, names, recorder.is_open)
    if isinstance(model, Sequential):  # Keras draws it without an input
        graph.nodes = [n for n in graph.nodes if n.kind != "input"]
        graph.edges = [e for e in graph.edges if e[0].kind != "input"]
    return graph


def _symbolic_inputs(model: Layer) -> tuple[tuple, dict[str, Any], list[str]]:
    """Symbolic arguments for a call, and a name for each tensor in them."""
    graph = getattr(model, "_tensor_graph", None)
    if graph is not None:
        tensors = [KerasTensor(i.shape, i.dtype) for i in graph.inputs]
        inputs = jax.tree.map(lambda ref: tensors[ref.index], graph.structure)
        order = [ref.index for ref in jax.tree.leaves(graph.structure)]
        return (inputs,), {}, [graph.inputs[i].name for i in order]
    if not model.built:
        raise ValueError(
            f"{type(model).__name__} '{model.name}' has no weights yet. Call it on data, or call "
            "build(input_shape), before plot_model()."
        )
    if model._inbound_nodes:
        args, kwargs = model._inbound_nodes[0].args, model._inbound_nodes[0].kwargs
    else:
        shapes = model.get_build_config()
        make = lambda s: KerasTensor((None, *s[1:]), model.compute_dtype)  # noqa: E731
        if shapes is None:
            raise ValueError(
                f"The input shape of {type(model).__name__} '{model.name}' is unknown. Call it on "
                "data before plot_model()."
            )
        if "input_shape" in shapes:
            args, kwargs = (_map(make, shapes["input_shape"]),), {}
        else:
            by_name = shapes["shapes_dict"].items()
            args, kwargs = (), {k.removesuffix("_shape"): _map(make, v) for k, v in by_name}
    args, kwargs = jax.tree.map(_without_batch_size, (args, kwargs))
    count = len(symbolic.tensors_in((args, kwargs)))
    return args, kwargs, ["input" if count == 1 else f"input_{i + 1}" for i in range(count)]


def _without_batch_size(x: Any) -> Any:
    return KerasTensor((None, *x.shape[1:]), x.dtype) if isinstance(x, KerasTensor) else x


def _map(make: Callable, shapes: Any) -> Any:
    if all(s is None or isinstance(s, int) for s in shapes):
        return make(shapes)
    if isinstance(shapes, dict):
        return {k: _map(make, v) for k, v in shapes.items()}
    return [_map(make, s) for s in shapes]


# Operations that are not drawn, since they do not change values, and names for JAX's primitives.
_UNSEEN = {"broadcast_in_dim", "convert_element_type", "copy", "copy_p", "name", "stop_gradient"}
_PLAIN = {
    "add_any": "add",
    "div": "divide",
    "dot_general": "matmul",
    "integer_pow": "power",
    "mul": "multiply",
    "pow": "power",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_sum": "sum",
    "select_n": "where",
    "sub": "subtract",
}


def _read(
    jaxpr: Any,
    other: Any,
    n_outputs: int,
    calls: list[Any],
    names: list[str],
    is_open: Callable[[Any], bool],
) -> Graph:
    """The graph of a trace with marks. `other` is the same trace with other sizes."""
    root = Graph()
    graph, closed = root, None  # the current frame, and the current box within it, if any
    node_of: dict[int, Node] = {}
    source: dict[Any, Node] = {}  # the node that computes a value
    points: dict[tuple[int, int], Node] = {}

    def described(var: Any, twin: Any) -> tuple[tuple[int | None, ...], str]:
        sizes = zip(var.aval.shape, twin.aval.shape)
        shape = tuple(s if isinstance(s, int) and s == t else None for s, t in sizes)
        return shape, str(var.aval.dtype)

    def local(node: Node) -> Node:
        """The node, or the last of the points on borders between it and the current frame."""
        while node.home not in graph.around:
            point = points.get((id(node), 0)) or node.home.add("out", "")
            node.home.connect(node, point)
            points[id(node), 0] = node = point
        for inner in reversed(graph.around[: graph.around.index(node.home)]):
            point = points.get((id(node), id(inner))) or inner.add("in", "")
            node.home.connect(node, point)
            points[id(node), id(inner)] = node = point
        return node

    for name, var, twin in zip(names, jaxpr.invars, other.invars):
        source[var] = node = root.add("input", "InputLayer", name)
        node.outputs.append(described(var, twin))

    for eqn, twin in zip(jaxpr.eqns, other.eqns):
        given = [source[v] for v in eqn.invars if not isinstance(v, Literal) and v in source]
        mark = str(eqn.params.get("name", ""))
        if mark.startswith(_MARK):
            side, number, *border = mark.removeprefix(_MARK).split()
            if border and side == "begin":
                operation = calls[int(number)]
                node_of[int(number)] = node = graph.add(*_kind_and_title(operation), operation)
                if is_open(operation):
                    node.kind, node.inner = "frame", Graph(node)
                    graph = node.inner
                else:
                    closed = node
                continue
            node = node_of[int(number)]
            if border:
                graph, closed = node.graph, None
                continue
            known = node.inputs if side == "begin" else node.outputs
            known.append(described(eqn.invars[0], twin.invars[0]))
            if node.inner is None:
                if side == "begin":
                    for s in given:
                        graph.connect(local(s), node)
                source[eqn.outvars[0]] = node
            elif given:
                source[eqn.outvars[0]] = local(given[0])
        elif closed is not None:
            source.update((v, closed) for v in eqn.outvars)
        elif eqn.primitive.name in _UNSEEN:
            source.update((v, s) for v in eqn.outvars for s in given)
        elif given:
            name = _PLAIN.get(eqn.primitive.name) or mark or eqn.primitive.name
            node = graph.add("operation", name.strip("_"))
            for s in given:
                graph.connect(local(s), node)
            node.outputs = [described(v, t) for v, t in zip(eqn.outvars, twin.outvars)]
            source.update((v, node) for v in eqn.outvars)
    graph = root
    ends = [v for v in jaxpr.outvars[:n_outputs] if not isinstance(v, Literal) and v in source]
    _prune(root, [local(source[v]) for v in ends])
    return root


def _kind_and_title(operation: Any) -> tuple[str, str]:
    if isinstance(operation, FunctionOperation):
        return "operation", getattr(operation.function, "__name__", "function")
    return "layer", type(operation).__name__


def _all_graphs(graph: Graph) -> Iterator[Graph]:
    yield graph
    for node in graph.nodes:
        if node.inner is not None:
            yield from _all_graphs(node.inner)


def _prune(root: Graph, ends: list[Node]) -> None:
    """Removes operations that lead to no layer and no output, and numbers the calls of layers."""
    graphs = list(_all_graphs(root))
    before: dict[int, list[Node]] = {}
    for source, target in itertools.chain.from_iterable(g.edges for g in graphs):
        before.setdefault(id(target), []).append(source)
    nodes = [n for g in graphs for n in g.nodes]
    waiting = [*ends, *(n for n in nodes if n.kind in ("layer", "frame", "input"))]
    kept: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) not in kept:
            kept.add(id(node))
            waiting += before.get(id(node), [])
    for g in graphs:
        g.nodes = [n for n in g.nodes if id(n) in kept]
        g.edges = [e for e in g.edges if id(e[0]) in kept and id(e[1]) in kept]
    of_layer: dict[int, list[Node]] = {}
    for node in nodes:
        if node.kind in ("layer", "frame"):
            of_layer.setdefault(id(node.layer), []).append(node)
    for calls in of_layer.values():
        for i, node in enumerate(calls):
            node.call = (i + 1, len(calls))
