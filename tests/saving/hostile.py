"""Files of every format that hold what nobody would write, for the tests of loading."""

import json
import shutil
import zipfile
import zlib

import h5py
import pytest

from keraslike import layers, models, saving
from keraslike.core import registry

FORMATS = ("keras", "h5", "orbax")


def rewrite_item(step, item, change):
    path = step / item / "metadata"
    value = change(json.loads(path.read_text())["value"])
    checksum = zlib.crc32(json.dumps(value).encode())
    path.write_text(json.dumps({"checksum": checksum, "value": value}))


def write(template, folder, kind, config):
    """A file of a format that holds a config, with some model's weights; returns its path."""
    text = json.dumps(config)
    if kind == "keras":
        path = folder / "m.keras"
        with zipfile.ZipFile(template / "m.keras") as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                new.writestr(name, text if name == "config.json" else old.read(name))
    elif kind == "h5":
        path = folder / "m.h5"
        shutil.copy(template / "m.h5", path)
        with h5py.File(path, "a") as file:
            compiled = config.pop("compile_config", None)
            file.attrs["model_config"] = json.dumps(config)
            if compiled is not None:
                rule = compiled.pop("optimizer", {"class_name": "SGD", "config": {}})
                file.attrs["training_config"] = json.dumps({**compiled, "optimizer_config": rule})
    else:
        path = folder / "orbax"
        if not path.exists():  # or of another config, which is written over
            shutil.copytree(template / "orbax", path)
        (step,) = path.iterdir()
        rewrite_item(step, "model", lambda _: config)
    return path


def entry(class_name, config, module="keras.layers", **more):
    known = {"module": module, "class_name": class_name, "config": config}
    return {**known, "registered_name": None, **more}


def function(name, module="builtins"):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


INPUT = entry("InputLayer", {"batch_shape": [None, 4], "dtype": "float32", "name": "in"})
TENSOR = {"class_name": "__keras_tensor__", "config": {"keras_history": ["in", 0, 0]}}


def sequential(*stack, **more):
    return entry("Sequential", {"name": "s", "layers": [INPUT, *stack]}, "keras", **more)


def dense(**arguments):
    return entry("Dense", {"units": 2, "name": "d", **arguments})


def graph(layer, args=(TENSOR,), kwargs=None):
    """A functional model of one layer that is called so."""
    call = {"args": list(args), "kwargs": kwargs or {}}
    first = {**INPUT, "name": "in", "inbound_nodes": []}
    only = {**layer, "name": "l", "inbound_nodes": [call]}
    if isinstance(layer["config"], dict) and not layer["class_name"].startswith("__"):
        only["config"] = {**layer["config"], "name": "l"}
    config = {"name": "f", "layers": [first, only]}
    ends = {"input_layers": [["in", 0, 0]], "output_layers": [["l", 0, 0]]}
    return entry("Functional", {**config, **ends}, "keras.src.models.functional")


@registry.register_keras_serializable(package="advisories")
class Around(layers.Layer):
    """A wrapper as TimeDistributed and RNN are, with objects in its arguments."""

    def __init__(self, layer=None, cell=None, fn=None, options=None, **kwargs):
        super().__init__(**kwargs)
        self.layer, self.cell, self.fn, self.options = layer, cell, fn, options

    def call(self, x):
        return x


def around(**arguments):
    name = "advisories>Around"
    return sequential(
        {"module": "tests", "class_name": "Around", "config": arguments, "registered_name": name}
    )


# Where a config has room for an object that it names.
PLACES = {
    "root": lambda e: e,
    "layer": sequential,
    "nested": lambda e: sequential(sequential(e)),
    "activation": lambda e: sequential(dense(activation=e)),
    "initializer": lambda e: sequential(dense(kernel_initializer=e)),
    "regularizer": lambda e: sequential(dense(kernel_regularizer=e)),
    "constraint": lambda e: sequential(dense(kernel_constraint=e)),
    "Lambda": lambda e: sequential(entry("Lambda", {"function": e})),
    "Lambda's shape": lambda e: sequential(
        entry("Lambda", {"function": function("relu"), "output_shape": e})
    ),
    "Lambda's mask": lambda e: sequential(
        entry("Lambda", {"function": function("relu"), "mask": e})
    ),
    "Lambda's argument": lambda e: sequential(
        entry("Lambda", {"function": function("relu"), "arguments": {"a": [e]}})
    ),
    "in a graph": graph,
    "argument of a call": lambda e: graph(dense(), (TENSOR,), {"mask": [e]}),
    "layer of a wrapper": lambda e: around(layer=e),
    "cell": lambda e: around(cell=e),
    "fn": lambda e: around(fn=e),
    "deep inside": lambda e: around(options={"a": [{"b": [e]}]}),
    "loss": lambda e: sequential(dense(), compile_config={"loss": e}),
    "metric": lambda e: sequential(dense(), compile_config={"loss": "mse", "metrics": [e]}),
    "optimizer": lambda e: sequential(dense(), compile_config={"optimizer": e}),
}


def doors(config):
    """Ways to make an object of a config that do not pass the loader of a file."""
    text, inner = json.dumps(config), config["config"]
    found = [
        lambda: saving.deserialize_keras_object(json.loads(text)),
        lambda: models.model_from_json(text),
    ]
    if "compile_config" in config:  # which lies beside what from_config() is given
        return found
    if isinstance(inner, dict) and "input_layers" in inner:
        found.append(lambda: models.Model.from_config(json.loads(text)["config"]))
    elif isinstance(inner, dict) and "layers" in inner:
        found.append(lambda: models.Sequential.from_config(json.loads(text)["config"]))
    return found


def refused(load, match, path=None):
    with pytest.raises((ValueError, TypeError), match=match) as caught:
        load()
    if path is not None:
        assert str(path) in str(caught.value)
    return caught.value


KERNEL = "layers/dense/vars/0"


def weights_file(template, folder, where, change):
    """A file whose weights `change(h5py.File, name of a weight)` has changed; returns its path."""
    name = {"keras": "m.keras", "h5": "m.h5", "weights": "m.weights.h5"}[where]
    path = shutil.copy(template / name, folder / name)
    inner = folder / "inner.h5"
    if where == "keras":
        with zipfile.ZipFile(path) as archive:
            config = archive.read("config.json")
            inner.write_bytes(archive.read("model.weights.h5"))
    with h5py.File(inner if where == "keras" else path, "a") as file:
        kernel = KERNEL
        if where == "h5":
            layer = file["model_weights"].attrs["layer_names"][0].decode()
            group = file["model_weights"][layer]
            kernel = f"model_weights/{layer}/{group.attrs['weight_names'][0].decode()}"
        change(file, kernel)
    if where == "keras":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", config)
            archive.write(inner, "model.weights.h5")
    return path
