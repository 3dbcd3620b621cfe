"""`plot_model`: what is in the picture, where it is, and the files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras
from keraslike import tf
from keraslike.utils import drawing, plotting

pytestmark = pytest.mark.slow

layers = keras.layers


class Block(layers.Layer):
    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.hidden = [layers.Dense(units, activation="elu") for _ in range(2)]

    def call(self, inputs):
        z = inputs
        for layer in self.hidden:
            z = layer(z)
        return inputs + z


class Regressor(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.block, self.out = layers.Dense(4), Block(), layers.Dense(1)

    def call(self, inputs):
        z = self.first(inputs)
        for _ in range(3):
            z = self.block(z)
        return self.out(z)


def called(layer, *shape):
    layer(np.zeros(shape, "float32"))
    return layer


def branches():
    a, b = keras.Input((8,), name="wide"), keras.Input((4,), name="deep")
    shared = layers.Dense(4, name="shared")
    merged = layers.Concatenate()([shared(layers.Dense(4, name="own")(a)), shared(b), a])
    return keras.Model([a, b], [keras.ops.exp(merged), layers.Dense(1, name="out")(merged)])


def edges(graph):
    """Arrows of a graph by titles, those into and out of frames by the frames'."""

    def title(node):
        return node.title or f"{node.kind} of {node.graph.frame.title}"

    return [(title(a), title(b)) for a, b in graph.edges]


def drawn(model, expand=False):
    return plotting.traced(model, expand)


def test_a_chain():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(3), layers.ReLU(), layers.Dense(1)])
    assert edges(drawn(model)) == [("Dense", "ReLU"), ("ReLU", "Dense")]


def test_branches_merges_and_a_shared_layer():
    graph = drawn(branches())
    names = {
        n.layer if n.kind == "input" else getattr(n.layer, "name", n.title) for n in graph.nodes
    }
    assert {"wide", "deep", "shared", "own", "out"} <= names
    assert sum(name.startswith("concatenate") for name in names) == 1  # a name of its own making
    shared = [n for n in graph.nodes if getattr(n.layer, "name", "") == "shared"]
    assert [n.call for n in shared] == [(1, 2), (2, 2)]
    assert sorted(edges(graph)) == sorted(
        [
            ("InputLayer", "Dense"),
            ("InputLayer", "Dense"),
            ("InputLayer", "Concatenate"),
            ("Dense", "Dense"),
            ("Dense", "Concatenate"),
            ("Dense", "Concatenate"),
            ("Concatenate", "exp"),
            ("Concatenate", "Dense"),
        ]
    )
    merge = next(n for n in graph.nodes if n.title == "Concatenate")
    assert [shape for shape, _ in merge.inputs] == [(None, 4), (None, 4), (None, 8)]
    assert merge.outputs == [((None, 16), "float32")]


def test_a_residual_block():
    graph = drawn(called(Block(), 2, 4))
    assert sorted(edges(graph)) == [
        ("Dense", "Dense"),
        ("Dense", "add"),
        ("InputLayer", "Dense"),
        ("InputLayer", "add"),
    ]


def test_a_subclassed_model_closed_and_open():
    model = called(Regressor(), 2, 8)
    closed = drawn(model)
    chain = ["InputLayer", "Dense", "Block", "Block", "Block", "Dense"]
    assert edges(closed) == list(zip(chain, chain[1:]))
    assert [n.call for n in closed.nodes if n.title == "Block"] == [(1, 3), (2, 3), (3, 3)]
    frames = [n for n in drawn(model, expand=True).nodes if n.kind == "frame"]
    assert len(frames) == 3
    for frame in frames:
        assert sorted(edges(frame.inner)) == [
            ("Dense", "Dense"),
            ("Dense", "add"),
            ("add", "out of Block"),
            ("in of Block", "Dense"),
            ("in of Block", "add"),
        ]


class Mixed(keras.Model):
    """JAX, tf and keraslike code between layers, layers in dicts, and dead ends."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = {"a": layers.Dense(4), "b": layers.Dense(4)}
        self.aside, self.last = layers.Dense(2), layers.Dense(1)

    def call(self, inputs):
        left = jnp.tanh(self.parts["a"](inputs))
        right = tf.square(self.parts["b"](inputs))
        self.add_loss(jnp.mean(self.aside(left) ** 2))
        return self.last(keras.ops.maximum(left, right))


def test_code_of_any_kind_between_layers():
    found = edges(drawn(called(Mixed(), 2, 8)))
    tanh, square = "tanh", next(b for a, b in found if "square" in b or "power" in b)
    assert ("Dense", tanh) in found and ("Dense", square) in found
    largest = next(b for a, b in found if a == square)
    assert (tanh, largest) in found and (largest, "Dense") in found
    # The layer that only a loss depends on is there, the arithmetic of the loss is not.
    assert (tanh, "Dense") in found
    assert sum(a == "InputLayer" for a, _ in found) == 2 and len(found) == 8


class Two(layers.Layer):
    def call(self, inputs):
        a, b = inputs
        return {"sum": a + b, "product": a * b}


def test_several_inputs_and_outputs_of_a_layer():
    x, y = keras.Input((3,)), keras.Input((3,))
    out = Two()([x, y])
    model = keras.Model({"x": x, "y": y}, layers.Add()([out["sum"], out["product"]]))
    graph = drawn(model)
    assert edges(graph) == [("InputLayer", "Two"), ("InputLayer", "Two"), ("Two", "Add")]
    two = next(n for n in graph.nodes if n.title == "Two")
    assert len(two.inputs) == len(two.outputs) == 2


class Leaky(layers.Layer):
    """Its inside uses a tensor from outside, and lets one out other than as its output."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.a, self.b = layers.Dense(2, name="a"), layers.Dense(2, name="b")

    def call(self, x):
        self.kept = self.a(x)
        return self.b(x) * self.borrowed


class Lender(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner, self.top = Leaky(), layers.Dense(2, name="top")

    def call(self, x):
        self.inner.borrowed = self.top(x)
        y = self.inner(x)
        return y + self.inner.kept


def test_tensors_that_pass_a_frame_by_the_way():
    graph = drawn(called(Lender(), 2, 3), expand=True)
    (frame,) = [n for n in graph.nodes if n.kind == "frame"]
    assert sum(n.kind == "in" for n in frame.inner.nodes) == 2
    assert sum(n.kind == "out" for n in frame.inner.nodes) == 2
    assert edges(graph).count(("out of Leaky", "add")) == 2


class Reshaping(layers.Layer):
    """Cannot be traced with an unknown size: it asks how large it is."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x if x.shape[0] > 5 else -x)


def test_unknown_sizes_that_cannot_be_traced():
    graph = drawn(called(Reshaping(), 2, 3))
    dense = next(n for n in graph.nodes if n.title == "Dense")
    assert dense.inputs == [((None, 3), "float32")] and edges(graph) == [("InputLayer", "Dense")]


class Text(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table, self.drop, self.last = (
            layers.Embedding(9, 4),
            layers.Dropout(0.5),
            layers.Dense(1),
        )

    def call(self, tokens, scale=1.0, training=None):
        return self.last(scale * self.drop(self.table(tokens), training=training))


@pytest.mark.parametrize("symbolic", [False, True])
def test_integers_and_arguments_that_are_no_tensors(symbolic):
    model = Text()
    if symbolic:
        model(keras.Input((5,), dtype="int32"), scale=2.0, training=True)
    else:
        model(np.zeros((2, 5), "int32"))
    found = ["InputLayer", "Embedding", "Dropout", "multiply", "Dense"]
    assert edges(drawn(model)) == list(zip(found, found[1:]))


def test_a_picture_too_large_for_its_dpi(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(plotting, "_MOST_PIXELS", 500)
    keras.utils.plot_model(branches(), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert max(image.size) == pytest.approx(500, abs=2)


@pytest.mark.parametrize("expand", [False, True])
def test_drawing_changes_nothing(expand):
    class Counting(layers.Layer):
        def __init__(self):
            super().__init__()
            self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)
            self.drop, self.norm = layers.Dropout(0.5), layers.BatchNormalization()

        def call(self, x):
            self.calls.assign_add(1.0)
            self.add_loss(jnp.sum(x**2))
            return self.norm(self.drop(x))

    model = keras.Sequential([keras.Input((3,)), Counting(), layers.Dense(1)])
    x = np.ones((2, 3), "float32")
    model(x)
    before, losses = model.get_weights(), [float(v) for v in model.losses]
    inbound = [len(vars(layer)["_inbound_nodes"]) for layer in model.layers]
    assert len(drawn(model, expand).nodes) == 2
    jax.tree.map(np.testing.assert_array_equal, model.get_weights(), before)
    assert [float(v) for v in model.losses] == losses == [6.0]
    assert [len(vars(layer)["_inbound_nodes"]) for layer in model.layers] == inbound
    assert "call" not in vars(model.layers[0])
    model.compile(loss="mse")
    model.fit(x, np.ones((2, 1)), verbose=0)


def box(layout, node):
    along = sum(layout.spans[layout.rank_of[id(node)]]) / 2
    x, y = layout.point(layout.at[id(node)], along)
    return x - node.width / 2, y - node.height / 2, x + node.width / 2, y + node.height / 2


@pytest.mark.parametrize("rankdir", ["TB", "BT", "LR", "RL"])
@pytest.mark.parametrize("make", [branches, lambda: called(Regressor(), 2, 8)])
def test_places(make, rankdir):
    shown = drawing.Shown(True, False, True, False, False)
    layout = drawing._Layout(drawn(make(), expand=True), shown, rankdir)
    boxes = {id(n): box(layout, n) for n in layout.graph.nodes}
    for left, top, right, bottom in boxes.values():
        assert left > -1e-6 and top > -1e-6
        assert right < layout.width + 1e-6 and bottom < layout.height + 1e-6
    apart = list(boxes.values())
    for i, a in enumerate(apart):
        for b in apart[i + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    axis = rankdir in ("TB", "BT")
    sign = 1 if rankdir in ("TB", "LR") else -1
    for number, (*_, chain) in enumerate(layout.chains):
        for splines in drawing.LINES.values():
            path = layout.way(number, splines).vertices
            for place, node in ((path[0], chain[0]), (path[-1], chain[-1])):
                left, top, right, bottom = boxes[id(node)]
                assert left - 1e-6 <= place[0] <= right + 1e-6
                assert top - 1e-6 <= place[1] <= bottom + 1e-6
            assert sign * (path[-1][int(axis)] - path[0][int(axis)]) > 0
            # No arrow runs through a box on its way.
            steps = np.linspace(path[:-1], path[1:], 30).reshape(-1, 2)
            for node in layout.graph.nodes:
                left, top, right, bottom = boxes[id(node)]
                if node not in (chain[0], chain[-1]) and splines is drawing.LINES["ortho"]:
                    inside = (steps[:, 0] > left + 1) & (steps[:, 0] < right - 1)
                    inside &= (steps[:, 1] > top + 1) & (steps[:, 1] < bottom - 1)
                    assert not inside.any()


def test_a_chain_is_straight():
    model = keras.Sequential([keras.Input((8,)), *(layers.Dense(3) for _ in range(30))])
    layout = drawing._Layout(drawn(model), drawing.Shown(True, *[False] * 4), "TB")
    assert max(abs(a - b) for line in layout.lines for a in line for b in line) < 1e-6


def test_what_boxes_tell():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(3, activation="relu", name="one")])
    model.add(layers.Flatten())
    one, flat = drawn(model).nodes

    def told(node, *shown):
        return [[cell.text for cell in row] for row in drawing.Shown(*shown).rows(node)]

    assert told(one, *[False] * 5) == [["Dense"]]
    everything = [
        ["one (Dense)"],
        ["Activation: relu"],
        ["Input shape: (None, 8)", "Output shape: (None, 3)", "Output dtype: float32", "Trainable"],
    ]
    assert told(one, *[True] * 5) == everything
    model.layers[0].trainable = False
    assert told(one, *[False] * 4, True) == [["Dense"], ["Non-trainable"]]
    assert told(flat, *[False] * 3, True, True) == [["Flatten"]]


SIGNATURES = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize("ending", ["png", "svg", "pdf", ""])
def test_files(tmp_path, ending):
    from IPython import display

    path = tmp_path / ("model." + ending if ending else "model")
    picture = keras.utils.plot_model(branches(), path, show_shapes=True, dpi=50)
    assert path.read_bytes().startswith(SIGNATURES[ending or "png"])
    kinds = {"png": display.Image, "": display.Image, "svg": display.SVG, "pdf": type(None)}
    assert type(picture) is kinds[ending]


def test_the_picture_is_as_large_as_dpi_says(tmp_path):
    from PIL import Image

    sizes = []
    for dpi in (50, 100):
        keras.utils.plot_model(branches(), tmp_path / "a.png", dpi=dpi)
        with Image.open(tmp_path / "a.png") as image:
            sizes.append(image.size)
            assert len(np.unique(np.asarray(image.convert("L")))) > 20  # something is drawn
    assert sizes[1] == pytest.approx([2 * s for s in sizes[0]], abs=2)


def test_signature_and_defaults_are_those_of_keras():
    import inspect

    import keras as oracle

    theirs = inspect.signature(oracle.utils.plot_model).parameters
    ours = inspect.signature(keras.utils.plot_model).parameters
    assert {k: p.default for k, p in ours.items()} == {
        k: p.default for k, p in theirs.items() if p.kind is not p.VAR_KEYWORD
    }


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"rankdir": "UP"}, "rankdir"),
        ({"splines": "wavy"}, "splines"),
        ({"to_file": "model.doc"}, "to_file"),
    ],
)
def test_wrong_arguments(arguments, said):
    with pytest.raises(ValueError, match=said):
        keras.utils.plot_model(branches(), **arguments)


def test_models_without_weights_and_other_things():
    with pytest.raises(ValueError, match="no weights yet"):
        keras.utils.plot_model(Regressor())
    with pytest.raises(ValueError, match="must be a model or a layer"):
        keras.utils.plot_model([layers.Dense(1)])
