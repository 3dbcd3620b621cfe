"""`save_model`, `load_model`, `save_weights` and `load_weights`."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from keraslike.core import base, context, lowering, registry, serialization
from keraslike.core.arguments import warn_user
from keraslike.core.errors import InvalidArgument, NoSuchFile
from keraslike.core.messages import ask_to_overwrite
from keraslike.core.processes import gathered, write_once
from keraslike.core.tracebacks import entry
from keraslike.layers.layer import Layer
from keraslike.saving import (
    assets,
    h5_reader,
    h5_writer,
    keras_archive,
    legacy_h5,
    orbax_store,
    safetensors_file,
    seal,
    sharded,
    tfjs_folder,
    weights_h5,
)
from keraslike.training.trainer import Trainer

# The size of weights, in bytes, that the config of even the smallest file may request. Drawing an
# initial value takes up to four times its size.
_MIN_ALLOWANCE = 32 << 20


@entry
def save_model(
    model: Any,
    filepath: str | os.PathLike | IO[bytes],
    overwrite: bool = True,
    zipped: bool | None = None,
    *,
    include_optimizer: bool = True,
    save_format: Any = None,
    **kwargs: Any,
) -> None:
    """Saves a model to a file or folder: config, weights, random streams, optimizer and assets.

    The file has the format of Keras 3, and training can continue in either library. It is written
    under a temporary name and replaces an existing file once it is complete. Of several processes
    the first one writes it, while the others wait.

    Args:
        model: a model; if it is not built, it is saved without weights, with a warning.
        filepath: a path ending in `.keras`, or in `.h5` or `.hdf5` for the older format; with
            `zipped=False` that of a folder; or a binary file object for the contents of a `.keras`
            file.
        overwrite: whether an existing file may be replaced without asking.
        zipped: `False` writes the contents of a `.keras` file as files in a folder.
        save_format: unnecessary, since the path determines it.
        include_optimizer: `False` omits the arguments of `compile` and the optimizer from a file in
            the older format.

    Raises ValueError for another suffix, and TypeError for a model that cannot be serialized.

    >>> import keraslike, os, tempfile
    >>> model = keraslike.Sequential([keraslike.Input((2,)), keraslike.layers.Dense(1)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, os.path.join(folder, "model.keras"))
    ...     again = load_model(os.path.join(folder, "model.keras"))
    >>> bool((again.get_weights()[0] == model.get_weights()[0]).all())
    True
    """
    to_file = hasattr(filepath, "write")
    path = ".keras" if to_file else _path(filepath)
    if not isinstance(model, Layer):
        raise TypeError(f"save_model() saves models. Received: model={model!r}")
    if kwargs:
        raise ValueError(f"The following argument(s) are not supported: {sorted(kwargs)}")
    if save_format:
        said = f"The `save_format` argument is deprecated: {save_format!r} is told by the filepath."
        if not path.endswith((".keras", *legacy_h5.ENDINGS)):
            raise ValueError(f"{said} Received: filepath={path!r}")
        warn_user(said)
    legacy, folder = _is_legacy(path), zipped is not None and not zipped
    if folder and path.endswith((".keras", *legacy_h5.ENDINGS)):
        raise ValueError(
            "With zipped=False a folder is written, and filepath should not end in `.keras` or "
            f"`.h5`. Received: filepath={path!r}"
        )
    if not path.endswith(".keras") and not legacy and not folder:
        what = "Invalid filepath extension for saving: save_model() writes"
        raise ValueError(_unsupported(path, what, "`.keras`, `.h5` or `.hdf5`"))
    if not include_optimizer and not legacy:
        raise ValueError(
            f"include_optimizer=False is for `.h5` files. Received: filepath={path!r}. "
            "save_weights() or load_model(compile=False) may be what you need."
        )
    if not _has_weights(model) and not model.weights:
        warn_user(
            f"The model '{model.name}' is saved without weights: it has none before it is built "
            "or called on data."
        )
    if legacy and assets.are_saved(model):
        warn_user(
            f"'{path}' is saved without what save_assets() writes, which only a `.keras` file and "
            "an OrbaxCheckpoint have a place for."
        )

    def write() -> None:
        if not to_file and not _may_write(path, overwrite):
            return
        if legacy:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)  # As Keras does for these.
            fill = functools.partial(legacy_h5.write, include_optimizer=include_optimizer)
            write_h5(path, _to_h5(model, fill))
            return
        config, files = keras_archive.config_of(model), assets.collect(model)
        target: Any = filepath if to_file else path
        to = keras_archive.write_folder if folder else keras_archive.write
        to(target, config, _to_h5(model, weights_h5.write), files)

    with gathered(base.variables_of(model, getattr(model, "optimizer", None))):
        write() if to_file else write_once(path, write)


@entry
def load_model(
    filepath: str | os.PathLike | IO[bytes],
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """The model in a file, whether keraslike or Keras wrote it, or in a checkpoint.

    No code from the file is run: classes and functions come from keraslike's public names,
    registered objects and `custom_objects`.

    Args:
        filepath: a path ending in `.keras`, `.h5` or `.hdf5`, written by any Keras from 1 on; or
            a folder that `save_model(zipped=False)` wrote; or the directory of an
            `OrbaxCheckpoint`, whose newest checkpoint is taken, or the folder of one of its
            checkpoints; or a layers-model of TensorFlow.js, the folder of its `model.json` or that
            file; or a binary file object with what is in a `.keras` file.
        custom_objects: a dict from names to your own classes and functions.
        compile: whether to compile the model as it was, and to restore the optimizer's state.
        safe_mode: `False` loads the bytecode of lambdas. Use it only for files that you trust.

    Raises FileNotFoundError if there is no such file; ValueError for a damaged file, one of another
    kind, or weights that do not fit; TypeError if `custom_objects` lacks a name.

    >>> import io, keraslike
    >>> file = io.BytesIO()
    >>> model = keraslike.Sequential([keraslike.Input((3,)), keraslike.layers.Dense(2)])
    >>> keraslike.saving.save_model(model, file)
    >>> _ = file.seek(0)
    >>> load_model(file).layers[0].units
    2
    """
    if hasattr(filepath, "read"):
        return _load_from(filepath, custom_objects, compile, safe_mode)
    path = _path(filepath)
    _check_exists(path)
    checkpoint, weights, files = None, None, {}
    folder, arrays = None, {}
    if _is_archive(path):
        with _naming(path), registry.custom_object_scope(custom_objects or {}):
            config, weights, files = keras_archive.read(path)
            version = keras_archive.version_of(path)
    elif tfjs_folder.is_there(path):
        with _naming(path), registry.custom_object_scope(custom_objects or {}):
            folder = tfjs_folder.Folder(path)
            config, arrays = folder.model_config(compile), folder.arrays()
    elif os.path.isdir(path):
        checkpoint = orbax_store.find(path)
        path, config = checkpoint.directory, checkpoint.config()
    elif path.endswith((".keras", *legacy_h5.ENDINGS)):
        seal.check_seal(path)
        with (
            _h5(path, path) as file,
            _naming(path),
            registry.custom_object_scope(custom_objects or {}),
        ):
            config = legacy_h5.read(file, path, compile)
    else:
        raise ValueError(
            _unsupported(
                path, "File format not supported: load_model() reads", "`.keras`, `.h5` or `.hdf5`"
            )
        )
    if not compile:
        config["compile_config"] = None
    # A config of a few bytes can request weights of any size.
    stored = folder.nbytes if folder is not None else _size(path)
    if weights is not None:
        stored = max(stored, weights.seek(0, os.SEEK_END))
    allowance = [_MIN_ALLOWANCE + 2 * stored]
    with (
        weights or contextlib.nullcontext(),
        context.using(allowance=allowance),
        registry.custom_object_scope(custom_objects or {}),
    ):
        with _naming(path), serialization.sharing():
            model = serialization.deserialize(config, safe_mode=safe_mode)
        if not isinstance(model, Layer):
            raise ValueError(f"'{path}' holds a {config['class_name']}, which is no model.")
        if checkpoint is not None:
            with _naming(path):
                checkpoint.load(model)
            return model
        if folder is not None:
            with _naming(path):
                folder.load(model, arrays)
            return model
        if weights is None:
            with _h5(path, path) as file:
                legacy_h5.load_all(model, file, path)
            return model
        with (
            _naming(path),
            assets.unpacked(model, files, version) as calls,
            _h5(weights, path) as file,
        ):
            weights_h5.load(model, h5_reader.Reader(file, path, weights, version), calls=calls)
    return model


@entry
def save_weights(
    model: Any,
    filepath: str | os.PathLike,
    overwrite: bool = True,
    max_shard_size: int | float | None = None,
    *,
    objects_to_skip: Sequence[Any] | None = None,
) -> None:
    """Saves a model's weights, random streams and optimizer state to a `.weights.h5` file, or only
    the weights by their paths to a `.safetensors` file.

    Args:
        model: a model that is built.
        filepath: a path ending in `.weights.h5` or `.safetensors`, or with `max_shard_size` in
            `.weights.json`.
        overwrite: whether an existing file may be replaced without asking.
        max_shard_size: the maximal size of the arrays in one file, in GB. The file at the path then
            lists which weight is in which of the files `<name>_00000.weights.h5` and so on beside
            it.
        objects_to_skip: layers to omit, including sublayers that are not part of other layers.

    Raises ValueError for another suffix, for a model without weights, and for a weight that is
    larger than a file may be.

    >>> import keraslike, tempfile
    >>> model = keraslike.Sequential([keraslike.Input((3,)), keraslike.layers.Dense(2)])
    >>> path = tempfile.mkdtemp() + "/m.weights.h5"
    >>> save_weights(model, path)
    >>> model.load_weights(path)
    """
    path = _path(filepath)
    if max_shard_size is not None:
        most = sharded.as_size(max_shard_size)
        if path.endswith(".weights.h5"):
            renamed = f"{path.removesuffix('.h5')}.json"
            warn_user(f"Sharded weights are saved to '{renamed}' rather than to '{path}'.")
            path = renamed
    ending = ".weights.h5" if max_shard_size is None else sharded.ENDING
    named = max_shard_size is None and path.endswith(safetensors_file.ENDING)
    if not named and not path.endswith(ending):
        raise ValueError(_unsupported(path, "save_weights() writes", f"`{ending}`"))
    if named and objects_to_skip is not None:
        raise ValueError(
            f"objects_to_skip only supports saving '.weights.h5' files. Received: filepath={path!r}"
        )
    _check_built(model, "save")
    skip = list(objects_to_skip or ())

    def write() -> None:
        if not _may_write(path, overwrite):
            return
        if named:
            safetensors_file.write(model, path)
        elif max_shard_size is not None:
            sharded.write(model, path, most, skip)
        else:
            write_h5(path, _to_h5(model, functools.partial(weights_h5.write, skip=skip)))

    with gathered(base.variables_of(model, getattr(model, "optimizer", None))):
        write_once(path, write)


@entry
def load_weights(
    model: Any,
    filepath: str | os.PathLike,
    skip_mismatch: bool = False,
    by_name: bool | None = None,
    *,
    objects_to_skip: Sequence[Any] | None = None,
    name_map: Any = None,
    **kwargs: Any,
) -> None:
    """Loads the weights in a file or a checkpoint into a model of the same structure.

    Args:
        model: a model that is built.
        filepath: a path ending in `.weights.h5`, `.weights.json`, `.keras`, `.safetensors`, or
            `.h5` or `.hdf5` in the older format, or a directory as for `load_model`.
        skip_mismatch: whether to leave weights that do not fit unchanged, with a warning for each.
            As in Keras, the weights of the same layer that come after them are left unchanged too
            (all of them if the file has another number), except with a file in the older format.
        by_name: whether to match layers by name, with a file in the older format.
        objects_to_skip: with `.weights.h5` or `.weights.json`, layers to leave unchanged, including
            sublayers that are not part of other layers.
        name_map: with `.safetensors`, which weight an array is: a dict or a function from the name
            in the file to the weight's path (`"dense/kernel"`), or to a pair of the path and a
            function of the array (`np.transpose`); `None` skips an array. `"order"` assigns the
            arrays in the file's order to the model's weights; a file written by `save_weights`
            records this order. Without it, names are paths.

    Raises FileNotFoundError if there is no such file; ValueError, without changes to the model, for
    a damaged file or weights that do not fit.

    >>> import keraslike, tempfile
    >>> layers = keraslike.layers.Input((3,)), keraslike.layers.Dense(2)
    >>> a = keraslike.Sequential(layers)
    >>> b = keraslike.models.clone_model(a)
    >>> path = tempfile.mkdtemp() + "/m.weights.h5"
    >>> a.save_weights(path)
    >>> load_weights(b, path)
    >>> bool((a.layers[0].kernel == b.layers[0].kernel).all())
    True
    """
    path = _path(filepath)
    _check_exists(path)
    _check_built(model, "load")
    if kwargs:
        raise InvalidArgument(f"Invalid keyword arguments: {sorted(kwargs)}")
    if by_name is not None and not _is_legacy_file(path):
        raise ValueError(
            "by_name only supports loading legacy '.h5' or '.hdf5' files. "
            f"Received: filepath={path!r}"
        )
    skip = list(objects_to_skip or ())
    if objects_to_skip is not None and not path.endswith((".weights.h5", sharded.ENDING)):
        raise ValueError(
            "objects_to_skip only supports loading '.weights.h5' files. "
            f"Received: filepath={path!r}"
        )
    if path.endswith(safetensors_file.ENDING) and not os.path.isdir(path):
        safetensors_file.load(model, path, name_map, skip_mismatch)
        return
    if name_map is not None:
        raise ValueError(
            f"name_map only supports loading '.safetensors' files. Received: filepath={path!r}"
        )
    if os.path.isdir(path) and not _is_archive(path):
        weights_h5.load(model, orbax_store.find(path).weights(), skip_mismatch)
        return
    if path.endswith(sharded.ENDING):
        with sharded.opened(path, lambda shard: _h5(shard, shard)) as reader:
            weights_h5.load(model, reader, skip_mismatch, skip=skip)
        return
    data, version = None, None
    if _is_archive(path):
        version, data = keras_archive.version_of(path), keras_archive.read_weights(path)
    elif path.endswith(".weights.h5"):
        seal.check_seal(path)
    elif _is_legacy_file(path):
        seal.check_seal(path)
        with _h5(path, path) as file:
            legacy_h5.load(model, file, path, skip_mismatch, bool(by_name))
        return
    else:
        endings = "`.weights.h5`, `.weights.json`, `.keras`, `.safetensors`, `.h5` or `.hdf5`"
        raise ValueError(
            _unsupported(path, "File format not supported: load_weights() reads", endings)
        )
    with data or contextlib.nullcontext(), _h5(data or path, path) as file:
        weights_h5.load(
            model, h5_reader.Reader(file, path, data, version), skip_mismatch, skip=skip
        )


# -- what they share --------------------------------------------------------------------------


def _load_from(file: Any, *options: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        with open(path, "wb") as target:
            shutil.copyfileobj(file, target)
        return load_model(path, *options)


def _path(filepath: Any) -> str:
    try:
        path = os.fspath(filepath)
    except TypeError:
        path = None
    if not isinstance(path, str):
        raise TypeError(f"filepath must be a path. Received: filepath={filepath!r}")
    return path


def _unsupported(path: str, does: str, endings: str) -> str:
    return f"{does} files whose name ends in {endings}. Received: filepath={path!r}"


def _is_legacy(path: str) -> bool:
    return path.endswith(legacy_h5.ENDINGS) and not path.endswith(".weights.h5")


def _is_legacy_file(path: str) -> bool:
    """Whether a file has the older format. TensorFlow up to 2.12 wrote it to `.keras` files,
    too."""
    if not path.endswith(".keras") or os.path.isdir(path):
        return _is_legacy(path)
    with open(path, "rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def _is_archive(path: str) -> bool:
    """Whether it is a `.keras` file of Keras 3, or a folder with the contents of one."""
    if os.path.isdir(path):
        return keras_archive.is_folder(path)
    return path.endswith(".keras") and not _is_legacy_file(path)


def _check_exists(path: str) -> None:
    if not os.path.exists(path):
        hint = "Please ensure the file is an accessible one."
        if not path.endswith(
            (".keras", sharded.ENDING, safetensors_file.ENDING, *legacy_h5.ENDINGS)
        ):
            hint = "File format not supported, if it is to be one: its ending is that of none."
        raise NoSuchFile(f"File not found: there is no file '{path}'. {hint}")


def _has_weights(model: Layer) -> bool:
    """Whether the weights exist. For a model with steps but without a call, these are its layers'
    weights."""
    return model.built or (isinstance(model, Trainer) and model._all_built())


def _check_built(model: Any, verb: str) -> None:
    if not isinstance(model, Layer):
        raise TypeError(f"Expected a model or a layer. Received: model={model!r}")
    if not _has_weights(model):
        doing = {"save": "saving", "load": "loading weights into"}[verb]
        raise ValueError(
            f"You are {doing} a model that has not yet been built. The model '{model.name}' has "
            f"no weights to {verb} yet: call it on data or build(input_shape) first."
        )


def _may_write(path: str, overwrite: bool) -> bool:
    if overwrite or not os.path.exists(path):
        return True
    if sys.stdin is None or not sys.stdin.isatty():
        raise FileExistsError(f"'{path}' exists, and overwrite=False was given.")
    return ask_to_overwrite(path)


def _size(path: str) -> int:
    """The size in bytes of a file, or of all files in a folder."""
    if not os.path.isdir(path):
        return os.path.getsize(path)
    found = (os.path.join(folder, f) for folder, _, files in os.walk(path) for f in files)
    return sum(map(os.path.getsize, found))


def _to_h5(model: Any, write: Callable[[Any, Any], None]) -> h5_writer.Image:
    """The HDF5 file that `write(model, file)` writes."""
    state = base.variables_of(model, getattr(model, "optimizer", None))
    with lowering.undisturbed(state), h5_writer.filled() as (image, file):
        write(model, file)
    return image


def write_h5(path: str, data: Any) -> None:
    """Writes an HDF5 file, an `Image` or bytes, completely or not at all."""
    with keras_archive.replacing(path) as file:
        seal.write(file, data)


@entry
def load_exported(filepath: str | os.PathLike) -> Any:
    """Loads a folder or archive written by `model.export(format="stablehlo")`.

    Neither the model's classes nor their code are needed. Raises FileNotFoundError if there is no
    such file; ValueError, before any program runs, for a damaged file and for a program that does
    more than compute.

    >>> import keraslike, os, tempfile
    >>> model = keraslike.Sequential([keraslike.Input((2,)), keraslike.layers.Dense(1)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "exported")
    ...     model.export(path, format="stablehlo", verbose=False)
    ...     again = load_exported(path)
    >>> again.serve([[1.0, 2.0]]).shape
    (1, 1)
    """
    return serialization.get("export", "load_exported")(filepath)


@contextlib.contextmanager
def _h5(source: Any, path: str) -> Iterator[Any]:
    """An open `h5py.File`; errors of h5py become a ValueError that names the file."""
    import h5py

    try:
        with h5py.File(source, "r") as file:
            yield file
    except (PermissionError, Warning):
        raise
    except Exception as e:  # h5py raises various types.
        if isinstance(e, (TypeError, ValueError)) and path in str(e):
            raise
        raise ValueError(f"The weights in '{path}' are damaged or no HDF5: {_short(e)}") from e


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Adds the name of the file to errors from making the model: a TypeError stays one, file-system
    errors raised by a user's class are unchanged, and all others become a ValueError."""
    try:
        yield
    except (OSError, Warning):
        raise
    except RecursionError as e:
        raise ValueError(f"'{path}' could not be loaded: it is nested too deeply.") from e
    except (TypeError, ValueError) as e:
        if type(e) not in (TypeError, ValueError) or path in str(e):
            raise
        raise type(e)(f"'{path}' could not be loaded. {_short(e)}") from e
    except Exception as e:
        raise ValueError(
            f"'{path}' could not be loaded: its config is not one that keraslike can read "
            f"({type(e).__name__}: {_short(e)})."
        ) from e


def _short(error: Exception) -> str:
    """The text of an error, shortened: a name or a config in it may be as long as the file."""
    text = str(error)
    return text if len(text) < 2000 else f"{text[:1000]} ... {text[-500:]}"
