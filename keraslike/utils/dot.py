"""`model_to_dot`: a model as a Graphviz graph."""

from __future__ import annotations

import html
from typing import Any

from keraslike.core.tracebacks import entry
from keraslike.layers.layer import Layer
from keraslike.utils.drawing import Graph, Node, Shown
from keraslike.utils.plotting import traced


@entry
def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Any:
    """A built model as a `pydot.Dot` with the boxes and arrows that `plot_model` draws.

    `str()` of the result is a text in the DOT language. Rendering it needs Graphviz.

    Args:
        show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable: which
            facts about a layer its box shows.
        rankdir: the direction of arrows: `"TB"` (down), `"BT"`, `"LR"` (right) or `"RL"`.
        expand_nested: whether layers that contain layers are clusters.
        dpi: dots per inch.
        subgraph: whether to return a `pydot.Cluster`, for use in another graph.
        splines: the shape of arrows: `"ortho"`, `"curved"`, `"spline"`, `"line"` or `"polyline"`.

    Raises ValueError for a model without weights, ImportError without pydot.

    >>> import keraslike
    >>> model = keraslike.Sequential([keraslike.Input((8,)), keraslike.layers.Dense(1, name="d")])
    >>> dot = model_to_dot(model, show_shapes=True)
    >>> [("d (Dense)" in node.to_string()) for node in dot.get_nodes() if node.get("label")]
    [True]
    """
    try:
        import pydot
    except ImportError as e:
        raise ImportError("model_to_dot() needs pydot: pip install pydot") from e
    if not isinstance(model, Layer):
        raise ValueError(f"model must be a model or a layer. Received: {model!r}")
    shown = Shown(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    graph = traced(model, expand_nested)
    if subgraph:
        dot = pydot.Cluster(graph_name=model.name, label=model.name, style="dashed")
    else:
        dot = pydot.Dot(graph_type="digraph", rankdir=rankdir, dpi=dpi, splines=splines)
        dot.set_node_defaults(shape="plaintext", fontname="Helvetica")
    numbers: dict[int, str] = {}
    _fill(dot, graph, shown, numbers, pydot)
    for source, target in _edges(graph):
        dot.add_edge(pydot.Edge(numbers[id(source)], numbers[id(target)]))
    return dot


def _fill(dot: Any, graph: Graph, shown: Shown, numbers: dict[int, str], pydot: Any) -> None:
    for node in graph.nodes:
        number = numbers[id(node)] = f"n{len(numbers)}"
        if node.inner is not None:
            title = shown.frame_title(node)
            frame = pydot.Cluster(graph_name=number, label=f'"{title}"', style="dashed")
            _fill(frame, node.inner, shown, numbers, pydot)
            dot.add_subgraph(frame)
        elif node.kind in ("in", "out"):  # the point where an arrow crosses the border of a frame
            dot.add_node(pydot.Node(number, shape="point"))
        else:
            dot.add_node(pydot.Node(number, label=_table(shown, node)))


def _table(shown: Shown, node: Node) -> str:
    rows = shown.rows(node)
    span = max(map(len, rows))
    lines = []
    for row in rows:
        wide = f' colspan="{span}"' if len(row) < span else ""
        cells = "".join(
            f'<td bgcolor="{c.fill}"{wide}><font color="{c.ink}">{html.escape(c.text)}</font></td>'
            for c in row
        )
        lines.append(f"<tr>{cells}</tr>")
    return f'<<table border="0" cellborder="1" cellspacing="0">{"".join(lines)}</table>>'


def _edges(graph: Graph) -> list[tuple[Node, Node]]:
    inner = [edge for n in graph.nodes if n.inner is not None for edge in _edges(n.inner)]
    return [*graph.edges, *inner]
