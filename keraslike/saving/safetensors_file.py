"""Weights in `.safetensors` files, as other frameworks write them: arrays by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from keraslike.core import lowering
from keraslike.core.arguments import warn_user
from keraslike.saving import keras_archive, weights_h5

ENDING = ".safetensors"

NameMap = dict[str, Any] | Callable[[str], Any] | str | None


def _package() -> Any:
    try:
        import safetensors.numpy
    except ImportError as e:
        raise ImportError(
            "Files that end in `.safetensors` need the package safetensors: "
            "pip install safetensors, or keraslike[safetensors]."
        ) from e
    return safetensors


def _by_path(model: Any) -> dict[str, Any]:
    """The weights by path, without the model's own name."""
    found: dict[str, Any] = {}
    for v in model.weights:
        path = v.path.removeprefix(f"{model.name}/")
        if path in found:
            raise ValueError(
                f"Two weights of '{model.name}' have the path '{path}': give layers names of their "
                "own for a file in which weights go by names."
            )
        found[path] = v
    return found


def write(model: Any, path: str) -> None:
    """Writes the weights by path. Raises ValueError if two have the same path."""
    package, weights = _package(), _by_path(model)
    with lowering.undisturbed(list(weights.values())):
        arrays = {name: np.ascontiguousarray(weights_h5.as_numpy(v)) for name, v in weights.items()}
    order = json.dumps(list(arrays))  # The format itself sorts names.
    data = package.numpy.save(arrays, metadata={"format": "keraslike", "order": order})
    with keras_archive.replacing(path) as file:
        file.write(data)


def load(model: Any, path: str, name_map: NameMap, skip_mismatch: bool) -> None:
    """Loads a model's weights from a file.

    Args:
        name_map: see `keraslike.saving.load_weights`.
        skip_mismatch: whether what does not match is named in a warning and not in an error.

    Raises ValueError, having changed nothing, for a damaged file and for what does not match.
    """
    package, wrong = _package(), []
    try:
        with package.safe_open(path, framework="np") as file:
            names = _in_order(file) if name_map == "order" else list(file.keys())
            pairs = _match(model, names, name_map, wrong)
            values = []
            for name, variable, change in pairs:
                value = file.get_tensor(name)
                value = value if change is None else np.asarray(change(value))
                shape = weights_h5.shape_of(variable)
                if value.shape != shape:
                    wrong.append(
                        f"'{name}' has shape {value.shape}, '{variable.path}' has shape {shape}"
                    )
                else:
                    values.append((variable, value))
    except package.SafetensorError as e:
        raise ValueError(f"The weights in '{path}' are damaged or no safetensors: {e}") from e
    if wrong:
        text = f"The weights in '{path}' do not match those of '{model.name}':\n  "
        text += "\n  ".join(wrong)
        if name_map is None:
            text += "\nNames that were given automatically differ from model to model: give layers "
            text += "names of their own, or pass name_map, a map of names or 'order'."
        if not skip_mismatch:
            raise ValueError(text)
        warn_user(text)
    with lowering.undisturbed([v for v, _ in values]):
        for variable, value in values:
            weights_h5.assign(variable, value)


def _in_order(file: Any) -> list[str]:
    """The names in the order of the weights, as recorded in the file or in the file's own order."""
    names = file.offset_keys()
    recorded = json.loads((file.metadata() or {}).get("order", "null"))
    if isinstance(recorded, list) and sorted(map(str, recorded)) == sorted(names):
        return recorded
    shapes = [tuple(file.get_slice(name).get_shape()) for name in names]
    if names == sorted(names) and len(set(shapes)) < len(shapes):
        raise ValueError(
            "The arrays of the file lie in the order of their names, and some have the same shape: "
            "that order does not tell which weight an array is. Pass a map of names. "
            f"Received: name_map='order', names={names}"
        )
    return names


def _match(
    model: Any, names: list[str], name_map: NameMap, wrong: list[str]
) -> list[tuple[str, Any, Callable | None]]:
    """Triples `(name in the file, weight, conversion of the array)`; names and weights without a
    counterpart are appended to `wrong`."""
    if isinstance(name_map, str):
        if name_map != "order":
            raise ValueError(
                "name_map must be a dict, a function, 'order' or None. "
                f"Received: name_map={name_map!r}"
            )
        weights = model.weights
        wrong += [f"'{name}' of the file is one too many" for name in names[len(weights) :]]
        wrong += [f"the file has nothing for '{v.path}'" for v in weights[len(names) :]]
        return [(name, v, None) for name, v in zip(names, weights)]
    left, pairs = _by_path(model), []
    given: Callable = name_map.get if isinstance(name_map, dict) else name_map or (lambda n: n)
    if isinstance(name_map, dict):
        wrong += [f"the file has no '{name}'" for name in name_map if name not in names]
    known = set(left)
    for name in names:
        if isinstance(name_map, dict) and name not in name_map:
            wrong.append(f"'{name}' of the file is not in name_map")
            continue
        target = given(name)
        if target is None:
            continue
        target, change = target if isinstance(target, tuple) else (target, None)
        target = str(target).removeprefix(f"{model.name}/")
        if target in left:
            pairs.append((name, left.pop(target), change))
        elif target in known:
            wrong.append(f"'{name}' of the file is a second one for '{target}'")
        else:
            wrong.append(f"'{name}' of the file is for '{target}', which the model does not have")
    wrong += [f"the file has nothing for '{path}'" for path in left]
    return pairs
