"""Layout of boxes, frames and arrows, and their drawing with matplotlib."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any

from keraslike.layers.layer import Layer


@dataclasses.dataclass(eq=False)
class Node:
    """A box, a frame around a graph, or a point where an arrow crosses the border of a frame."""

    graph: Graph
    kind: str  # "layer", "operation", "input", "frame", "in" or "out"
    title: str
    layer: Any = None  # the layer or operation, or the name of an input
    inputs: list[Any] = dataclasses.field(default_factory=list)  # (shape, dtype) of each
    outputs: list[Any] = dataclasses.field(default_factory=list)
    inner: Graph | None = None
    call: tuple[int, int] = (1, 1)  # the number of this call, and of all calls of the layer
    width: float = 0.0
    height: float = 0.0

    @property
    def home(self) -> Graph:
        """The graph of the arrows that start here; for an `out` point, that around the frame."""
        if self.kind == "out" and self.graph.frame is not None:
            return self.graph.frame.graph
        return self.graph


@dataclasses.dataclass(eq=False)
class Graph:
    """Nodes, and arrows between them and points on the borders of frames."""

    frame: Node | None = None
    nodes: list[Node] = dataclasses.field(default_factory=list)
    edges: list[tuple[Node, Node]] = dataclasses.field(default_factory=list)

    def add(self, kind: str, title: str = "", layer: Any = None) -> Node:
        self.nodes.append(Node(self, kind, title, layer))
        return self.nodes[-1]

    def connect(self, source: Node, target: Node) -> None:
        if (source, target) not in self.edges:
            self.edges.append((source, target))

    @property
    def around(self) -> list[Graph]:
        """This graph and those that enclose it, from the inside out."""
        return [self, *(self.frame.graph.around if self.frame is not None else [])]


# Sizes are in points.
_ROW, _SIZE, _PAD = 20.0, 10.0, 9.0  # the height of a row, the size of text, the space around it
_GAP, _TRACK, _SIDE, _MARGIN = 18.0, 9.0, 20.0, 14.0
_INK, _HEAD, _BODY, _SOFT, _LINE = "#111827", "#1f2937", "#ffffff", "#e2e8f0", "#475569"


# -- the texts of boxes -----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Cell:
    text: str
    fill: str = _BODY
    ink: str = _INK
    bold: bool = False

    @functools.cached_property
    def width(self) -> float:
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import TextPath

        font = FontProperties(weight="bold" if self.bold else "normal")
        path = TextPath((0, 0), self.text, size=_SIZE, prop=font)
        return path.get_extents().width + 2 * _PAD


@dataclasses.dataclass(frozen=True)
class Shown:
    """Which facts about a layer are shown beside its class."""

    shapes: bool
    dtype: bool
    names: bool
    activations: bool
    trainable: bool

    def title(self, node: Node) -> str:
        name = node.layer if node.kind == "input" else getattr(node.layer, "name", None)
        return (
            f"{name} ({node.title})"
            if self.names and name not in (None, node.title)
            else node.title
        )

    def rows(self, node: Node) -> list[list[_Cell]]:
        """The cells of a box."""
        plain = node.kind == "operation"
        rows = [
            [_Cell(self.title(node), _SOFT if plain else _HEAD, _INK if plain else _BODY, True)]
        ]
        call, calls = node.call
        if calls > 1:
            rows.append([_Cell(f"call {call} of {calls}", _SOFT)])
        activation = getattr(node.layer, "activation", None)
        if self.activations and activation is not None:
            name = getattr(activation, "__name__", None) or type(activation).__name__
            rows.append([_Cell(f"Activation: {name}")])
        cells = []
        if self.shapes:
            if node.inputs:
                cells.append(_Cell(f"Input shape: {_listed(node.inputs, 0)}"))
            cells.append(_Cell(f"Output shape: {_listed(node.outputs, 0)}"))
        if self.dtype:
            cells.append(_Cell(f"Output dtype: {_listed(node.outputs, 1)}"))
        if self.trainable and isinstance(node.layer, Layer) and node.layer.weights:
            text, fill = ("Trainable", "#15803d")
            if not node.layer.trainable:
                text, fill = ("Non-trainable", "#b91c1c")
            cells.append(_Cell(text, fill, _BODY, True))
        return [*rows, cells] if cells else rows

    def frame_title(self, node: Node) -> str:
        call, calls = node.call
        return self.title(node) + (f", call {call} of {calls}" if calls > 1 else "")


def _listed(described: list[Any], which: int) -> str:
    return ", ".join(str(d[which]) for d in described) or "?"


# -- the layout of boxes and arrows -----------------------------------------------------------


class _Bend:
    """The point where an arrow crosses a rank of boxes."""

    width = height = 0.0


class _Layout:
    """The positions of a graph's boxes in ranks, and the routes of the arrows between them.

    A box is in the rank after the last of its predecessors. Within a rank, boxes are ordered by the
    means of their neighbours' positions (Sugiyama, Tagawa and Toda, 1981, Methods for visual
    understanding of hierarchical system structures). `across` is the direction of a rank, `along`
    that of the arrows.
    """

    def __init__(self, graph: Graph, shown: Shown, rankdir: str):
        self.graph, self.shown = graph, shown
        self.down, self.back = rankdir in ("TB", "BT"), rankdir in ("BT", "RL")
        self.inner: dict[int, _Layout] = {}
        self.pad = 0.0  # the distance along from the enclosing frame
        self.corner = (0.0, 0.0)  # the position within that frame
        for node in graph.nodes:
            self._measure(node, rankdir)
        self._rank()
        self._order()
        self._place()
        self._route()
        self.width, self.height = self._turned(self.breadth, self.length)

    def _turned(self, across: float, along: float) -> tuple[float, float]:
        return (across, along) if self.down else (along, across)

    def point(self, across: float, along: float) -> tuple[float, float]:
        """A position in x and y, with y downwards."""
        return self._turned(across, self.length - along if self.back else along)

    def _measure(self, node: Node, rankdir: str) -> None:
        if node.kind in ("in", "out"):
            return
        if node.inner is None:
            rows = self.shown.rows(node)
            node.width = max(sum(c.width for c in row) for row in rows)
            node.height = _ROW * len(rows)
            return
        inner = self.inner[id(node)] = _Layout(node.inner, self.shown, rankdir)
        title = _Cell(self.shown.frame_title(node), bold=True).width
        # The title is on a side that no arrow crosses.
        across = inner.breadth + 2 * _MARGIN + _ROW
        along = max(inner.length + 2 * _MARGIN, title + _PAD)
        node.width, node.height = self._turned(across, along)
        inner.pad = (along - inner.length) / 2
        inner.corner = self._turned(_MARGIN + _ROW, inner.pad)

    def _unit(self, node: Node) -> Any:
        """The node of this graph for a node; for a point on the border of a frame, the frame."""
        return node if node.graph is self.graph else node.graph.frame

    # Ranks, with a bend in each rank that an arrow crosses.

    def _rank(self) -> None:
        nodes = self.graph.nodes
        edges = [(self._unit(a), self._unit(b), a, b) for a, b in self.graph.edges]
        before: dict[int, list[Node]] = {id(n): [] for n in nodes}
        after: dict[int, list[Node]] = {id(n): [] for n in nodes}
        for a, b, *_ in edges:
            before[id(b)].append(a)
            after[id(a)].append(b)
        rank: dict[int, int] = {}
        missing = {id(n): len(before[id(n)]) for n in nodes}
        ready = [n for n in nodes if not missing[id(n)]]
        for node in ready:  # the loop appends to the list
            rank[id(node)] = max((rank[id(a)] + 1 for a in before[id(node)]), default=0)
            for b in after[id(node)]:
                missing[id(b)] -= 1
                if not missing[id(b)]:
                    ready.append(b)
        last = max(rank.values(), default=0)
        for node in nodes:
            if node.kind == "out":
                rank[id(node)] = last
            elif node.kind in ("layer", "frame") and not before[id(node)] and after[id(node)]:
                rank[id(node)] = min(rank[id(b)] for b in after[id(node)]) - 1
        self.ranks: list[list[Any]] = [[] for _ in range(last + 1)]
        for node in nodes:
            self.ranks[rank[id(node)]].append(node)

        self.chains: list[tuple[Node, Node, list[Any]]] = []  # start, end; source, bends, target
        bends: dict[tuple[int, int], _Bend] = {}  # arrows with the same start share their bends
        for a, b, start, end in edges:
            between = []
            for r in range(rank[id(a)] + 1, rank[id(b)]):
                if (id(start), r) not in bends:
                    bends[id(start), r] = _Bend()
                    self.ranks[r].append(bends[id(start), r])
                between.append(bends[id(start), r])
            self.chains.append((start, end, [a, *between, b]))
        self.rank_of = {id(item): r for r, rank in enumerate(self.ranks) for item in rank}
        self.above: dict[int, list[Any]] = {id(item): [] for rank in self.ranks for item in rank}
        self.below: dict[int, list[Any]] = {id(item): [] for rank in self.ranks for item in rank}
        for *_, chain in self.chains:
            for a, b in itertools.pairwise(chain):
                if b not in self.below[id(a)]:
                    self.below[id(a)].append(b)
                    self.above[id(b)].append(a)

    # The order within each rank.

    def _order(self) -> None:
        best, best_ranks = self._crossings(), [list(rank) for rank in self.ranks]
        for sweep in range(8):
            down = sweep % 2 == 0
            near = self.above if down else self.below
            for rank in self.ranks[1:] if down else self.ranks[-2::-1]:
                place = {id(n): i for r in self.ranks for i, n in enumerate(r)}
                means = {}
                for i, n in enumerate(rank):
                    places = [place[id(m)] for m in near[id(n)]] or [i]
                    means[id(n)] = sum(places) / len(places)
                rank.sort(key=lambda n: means[id(n)])  # noqa: B023
            crossings = self._crossings()
            if crossings < best:
                best, best_ranks = crossings, [list(rank) for rank in self.ranks]
        self.ranks = best_ranks

    def _crossings(self) -> int:
        count = 0
        for upper, lower in itertools.pairwise(self.ranks):
            place = {id(n): i for i, n in enumerate(lower)}
            ends = [[place[id(b)] for b in self.below[id(a)]] for a in upper]
            for first, second in itertools.combinations(ends, 2):
                count += sum(i > j for i in first for j in second)
        return count

    # Positions across.

    def _across(self, item: Any) -> float:
        return item.width if self.down else item.height

    def _along(self, item: Any) -> float:
        return item.height if self.down else item.width

    def _place(self) -> None:
        self.at: dict[int, float] = {}
        for rank in self.ranks:
            sizes = [self._across(item) + _SIDE for item in rank]
            for item, at in zip(rank, _apart([0.0] * len(rank), sizes, [1.0] * len(rank))):
                self.at[id(item)] = at
        offset: dict[tuple[int, int], float] = {}  # between neighbours joined by a straight arrow
        for start, end, chain in self.chains:
            for a, b in itertools.pairwise(chain):
                apart = self._offset(start) if a is chain[0] else 0.0
                apart -= self._offset(end) if b is chain[-1] else 0.0
                offset[id(a), id(b)], offset[id(b), id(a)] = apart, -apart
        for sweep in range(7):
            down = sweep % 2 == 0
            near = self.above if down else self.below
            for rank in self.ranks if down else reversed(self.ranks):
                wanted = []
                for item in rank:
                    pulls = [
                        (self.at[id(m)] + offset[id(m), id(item)], _pull(m, item))
                        for m in near[id(item)]
                    ] or [(self.at[id(item)], 1.0)]
                    wanted.append(sum(x * w for x, w in pulls) / sum(w for _, w in pulls))
                sizes = [self._across(item) + _SIDE for item in rank]
                # The alignment of boxes has priority over that of bends.
                weights = [0.02 if isinstance(item, _Bend) else 1.0 for item in rank]
                for item, at in zip(rank, _apart(wanted, sizes, weights)):
                    self.at[id(item)] = at
        items = [item for rank in self.ranks for item in rank]
        least = min((self.at[id(i)] - self._across(i) / 2 for i in items), default=0.0)
        for item in items:
            self.at[id(item)] -= least
        self.breadth = max((self.at[id(i)] + self._across(i) / 2 for i in items), default=0.0)

    # Positions along, and the routes of arrows.

    def _offset(self, node: Node) -> float:
        """The distance of a point on a frame's border from the middle of the frame; 0 for a box."""
        unit = self._unit(node)
        if unit is node:
            return 0.0
        inner = self.inner[id(unit)]
        corner = inner.corner[0] if self.down else inner.corner[1]
        return corner + inner.at[id(node)] - self._across(unit) / 2

    def _port(self, node: Node) -> float:
        """The position across of an arrow's start or end."""
        return self.at[id(self._unit(node))] + self._offset(node)

    def _route(self) -> None:
        self.lines = [
            [self._port(start), *(self.at[id(item)] for item in chain[1:-1]), self._port(end)]
            for start, end, chain in self.chains
        ]
        self._spread_ends()
        # The gap after each rank has a track for each start whose arrows turn there.
        self.track: dict[tuple[int, int], int] = {}
        tracks = [0] * len(self.ranks)
        for line, (start, _, chain) in zip(self.lines, self.chains):
            for (a, item), (b, _) in itertools.pairwise(zip(line, chain)):
                r = self.rank_of[id(item)]
                if abs(a - b) > 0.5 and (r, id(start)) not in self.track:
                    self.track[r, id(start)] = tracks[r]
                    tracks[r] += 1
        self.spans: list[tuple[float, float]] = []
        at = 0.0
        for rank, n in zip(self.ranks, tracks):
            size = max((self._along(item) for item in rank), default=0.0)
            self.spans.append((at, at + size))
            at += size + _GAP + _TRACK * n
        self.length = self.spans[-1][1] if self.spans else 0.0

    def _spread_ends(self) -> None:
        """Moves the ends of arrows at the same box apart; straight arrows stay straight."""
        ends: dict[int, list[int]] = {}
        for i, (_, end, _) in enumerate(self.chains):
            if end.kind not in ("in", "out"):
                ends.setdefault(id(end), []).append(i)
        for arrows in ends.values():
            box = self.chains[arrows[0]][1]
            middle, half = self.at[id(box)], self._across(box) / 2 - 6.0
            arrows.sort(key=lambda i: self.lines[i][-2])
            wanted, weights = [], []
            for i in arrows:
                came = self.lines[i][-2]
                straight = abs(came - middle) <= half
                wanted.append(came if straight else middle + (half if came > middle else -half) / 2)
                weights.append(50.0 if straight else 1.0)
            room = min(12.0, 2 * half / max(len(arrows) - 1, 1))
            for i, at in zip(arrows, _apart(wanted, [room] * len(arrows), weights)):
                self.lines[i][-1] = at

    def way(self, number: int, draw: Callable) -> Any:
        """The path of an arrow, drawn by one of `LINES`."""
        start, end, chain = self.chains[number]
        line = self.lines[number]
        ranks = [self.spans[self.rank_of[id(item)]] for item in chain]
        first = sum(ranks[0]) / 2 + self._along(chain[0]) / 2
        last = sum(ranks[-1]) / 2 - self._along(chain[-1]) / 2
        if start.kind == "in" and start.graph is self.graph:
            first = -self.pad
        if end.kind == "out" and end.graph is self.graph:
            last = self.length + self.pad
        steps = []
        for i in range(len(chain) - 1):
            begin = first if i == 0 else ranks[i][0]
            stop = last if i == len(chain) - 2 else ranks[i + 1][0]
            r = self.rank_of[id(chain[i])]
            turn = ranks[i][1] + _GAP / 2 - 2.0 + _TRACK * self.track.get((r, id(start)), 0)
            steps.append((line[i], begin, ranks[i][1], turn, line[i + 1], ranks[i + 1][0], stop))
        return draw(steps, self.point)


def _pull(a: Any, b: Any) -> float:
    """The weight of the alignment of two neighbours."""
    bends = isinstance(a, _Bend) + isinstance(b, _Bend)
    return (1.0, 0.05, 1.0)[bends]


def _apart(wanted: list[float], sizes: list[float], weights: list[float]) -> list[float]:
    """The positions closest to `wanted` (by least squares) in the same order without overlap."""
    offsets = [0.0]
    for a, b in itertools.pairwise(sizes):
        offsets.append(offsets[-1] + (a + b) / 2)
    blocks: list[list[float]] = []  # mean, weight, count: pooled where they would overlap
    for place, offset, weight in zip(wanted, offsets, weights):
        blocks.append([place - offset, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            m, w, n = blocks.pop()
            before = blocks[-1]
            before[0] = (before[0] * before[1] + m * w) / (before[1] + w)
            before[1], before[2] = before[1] + w, before[2] + n
    means = [m for m, _, n in blocks for _ in range(int(n))]
    return [m + offset for m, offset in zip(means, offsets)]


# -- drawing ----------------------------------------------------------------------------------


def _ortho(steps: list[Any], point: Callable) -> Any:
    corners: list[tuple[float, float]] = []
    for a, begin, _, turn, b, _, stop in steps:
        bent = abs(a - b) > 0.5
        corners += [(a, begin), *([(a, turn), (b, turn)] if bent else []), (b, stop)]
    places = [corners[0]]
    for p, q in itertools.pairwise(corners[1:]):
        straight = places[-1][0] == p[0] == q[0] or p == places[-1]
        if not straight:
            places.append(p)
    places.append(corners[-1])
    from matplotlib.path import Path

    vertices, codes = [places[0]], [Path.MOVETO]  # with rounded corners
    for before, p, after in zip(places, places[1:], places[2:]):
        radius = min(4.0, _distance(before, p) / 2, _distance(p, after) / 2)
        vertices += [_towards(p, before, radius), p, _towards(p, after, radius)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    return Path([point(*v) for v in (*vertices, places[-1])], [*codes, Path.LINETO])


def _distance(p: tuple[float, float], q: tuple[float, float]) -> float:
    return abs(p[0] - q[0]) + abs(p[1] - q[1])


def _towards(p: tuple[float, float], q: tuple[float, float], by: float) -> tuple[float, float]:
    part = by / (_distance(p, q) or 1.0)
    return p[0] + (q[0] - p[0]) * part, p[1] + (q[1] - p[1]) * part


def _curved(steps: list[Any], point: Callable) -> Any:
    from matplotlib.path import Path

    vertices, codes = [(steps[0][0], steps[0][1])], [Path.MOVETO]
    for a, _, leave, _, b, arrive, stop in steps:
        middle = (leave + arrive) / 2
        vertices += [(a, leave), (a, middle), (b, middle), (b, arrive), (b, stop)]
        codes += [Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO]
    return Path([point(*v) for v in vertices], codes)


def _straight(steps: list[Any], point: Callable) -> Any:
    from matplotlib.path import Path

    places = [(steps[0][0], steps[0][1])]
    for a, _, leave, _, b, arrive, stop in steps:
        places += [(a, leave), (b, arrive), (b, stop)]
    return Path([point(*v) for v in places])


LINES: dict[str, Callable] = {
    "ortho": _ortho,
    "curved": _curved,
    "spline": _curved,
    "line": _straight,
    "polyline": _straight,
}


def draw(figure: Any, graph: Graph, shown: Shown, rankdir: str, splines: str) -> None:
    """Draws a graph on a matplotlib figure, whose size it sets."""
    layout = _Layout(graph, shown, rankdir)
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN
    figure.set_size_inches(width / 72, height / 72)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    _draw_layout(axes, layout, _MARGIN, _MARGIN, LINES[splines])


def _draw_layout(axes: Any, layout: _Layout, x: float, y: float, lines: Callable) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.transforms import Affine2D

    corners = {}
    for node in layout.graph.nodes:
        along = sum(layout.spans[layout.rank_of[id(node)]]) / 2
        cx, cy = layout.point(layout.at[id(node)], along)
        corners[id(node)] = x + cx - node.width / 2, y + cy - node.height / 2
        if node.kind == "frame":
            _draw_frame(axes, layout, node, *corners[id(node)])
    for i, (_, end, _) in enumerate(layout.chains):
        path = layout.way(i, lines).transformed(Affine2D().translate(x, y))
        style = "-" if end.kind in ("in", "out") else "-|>"
        axes.add_patch(
            FancyArrowPatch(
                path=path, arrowstyle=style, mutation_scale=9, color=_LINE, linewidth=1.2,
                shrinkA=0, shrinkB=0, joinstyle="miter", capstyle="butt",
            )
        )  # fmt: skip
    for node in layout.graph.nodes:
        if node.kind == "frame":
            left, top = corners[id(node)]
            inner = layout.inner[id(node)]
            _draw_layout(axes, inner, left + inner.corner[0], top + inner.corner[1], lines)
        elif node.kind not in ("in", "out"):
            _draw_box(axes, layout.shown.rows(node), node, *corners[id(node)])


def _draw_frame(axes: Any, layout: _Layout, node: Node, left: float, top: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            (left, top), node.width, node.height, boxstyle="round,pad=0,rounding_size=6",
            facecolor=(0.2, 0.35, 0.6, 0.06), edgecolor=_LINE, linestyle=(0, (4, 3)), linewidth=1,
        )
    )  # fmt: skip
    title = layout.shown.frame_title(node)
    style: dict[str, Any] = {"size": _SIZE, "weight": "bold", "color": _INK, "va": "center"}
    middle = _MARGIN / 2 + _ROW / 2
    if layout.down:
        y = top + node.height / 2
        axes.text(
            left + middle, y, title, rotation=90, ha="center", rotation_mode="anchor", **style
        )
    else:
        axes.text(left + node.width / 2, top + middle, title, ha="center", **style)


def _draw_box(axes: Any, rows: list[list[_Cell]], node: Node, left: float, top: float) -> None:
    from matplotlib.patches import FancyBboxPatch, Rectangle

    rounding = 8.0 if node.kind == "operation" else 2.0
    outline = FancyBboxPatch(
        (left, top), node.width, node.height, boxstyle=f"round,pad=0,rounding_size={rounding}",
        facecolor=_BODY, edgecolor=_HEAD, linewidth=1, zorder=3,
    )  # fmt: skip
    axes.add_patch(outline)
    for i, row in enumerate(rows):
        x, spare = left, (node.width - sum(c.width for c in row)) / len(row)
        for cell in row:
            width, y = cell.width + spare, top + i * _ROW
            part = Rectangle(
                (x, y), width, _ROW, facecolor=cell.fill, edgecolor=_HEAD, linewidth=0.6, zorder=3
            )
            axes.add_patch(part)
            part.set_clip_path(outline)
            axes.text(
                x + width / 2, y + _ROW / 2, cell.text, size=_SIZE, color=cell.ink, ha="center",
                va="center_baseline", weight="bold" if cell.bold else "normal", zorder=4,
            )  # fmt: skip
            x += width
