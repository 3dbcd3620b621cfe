"""`TensorBoard`, a callback that writes event files for the program of that name."""

from __future__ import annotations

import os
import time
from typing import Any

import jax
import numpy as np

from keraslike.core import processes
from keraslike.core.arguments import image_data_format, warn_user
from keraslike.layers.embedding import Embedding
from keraslike.training.callbacks import Callback, rates_of
from keraslike.training.event_files import EventFile


class TensorBoard(Callback):
    """Writes event files for TensorBoard (`pip install tensorboard`, `tensorboard --logdir logs`).

    Neither TensorFlow nor TensorBoard is needed to write them.

    Args:
        log_dir: a directory, in which `train` and `validation` are created.
        histogram_freq: the number of epochs between histograms of the weights; 0 for none.
        write_graph: whether to write the architecture of a Sequential or Functional model.
        write_images: whether to write weights as images, along with their histograms.
        write_steps_per_second: whether to write the speed of epochs, and of batches if
            `update_freq` includes them.
        update_freq: `"epoch"`, or the number of batches after which their logs are written
            (`"batch"` is 1). With a number, `fit` runs step by step.
        profile_batch: the batch to profile, or the first and the last one; 0 for none.
        embeddings_freq: the number of epochs after which the vectors of Embedding layers are
            written for the projector; 0 for never.
        embeddings_metadata: a file with labels for the vectors, or a dict of such files by layer
            names.

    Raises ValueError for an invalid `profile_batch`, and for names in `embeddings_metadata` that no
    Embedding layer has.

    >>> import keraslike, tempfile
    >>> model = keraslike.Sequential([keraslike.Input((2,)), keraslike.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> x, y = np.ones((4, 2)), np.ones(4)
    >>> with tempfile.TemporaryDirectory() as logs:
    ...     h = model.fit(x, y, verbose=0, validation_data=(x, y), callbacks=[TensorBoard(logs)])
    ...     sorted(os.listdir(logs))
    ['train', 'validation']
    """

    _reads_arrays = True  # Only of the batches whose logs are written.

    def __init__(
        self,
        log_dir: str | os.PathLike = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int | str | tuple[int, int] | list[int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: str | dict[str, str] | None = None,
    ):
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq, self.write_graph = histogram_freq, write_graph
        self.write_images, self.write_steps_per_second = write_images, write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        if self.update_freq != "epoch" and (
            not isinstance(self.update_freq, int) or self.update_freq < 1
        ):
            raise ValueError(
                "update_freq must be 'epoch', 'batch' or a number of batches. "
                f"Received: update_freq={update_freq!r}"
            )
        self._start_batch, self._stop_batch = _batches(profile_batch)
        self.embeddings_freq, self.embeddings_metadata = embeddings_freq, embeddings_metadata
        self._train_dir = os.path.join(self.log_dir, "train")
        self._train = EventFile(self._train_dir)
        self._validation = EventFile(os.path.join(self.log_dir, "validation"))
        self._batch, self._profiling = 0, False
        self._annotation: Any = None
        if self.update_freq != "epoch" or self._stop_batch:
            self.on_train_batch_begin = self._before_batch
            self.on_train_batch_end = self._after_batch

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        if not processes.is_first():  # Only the first process writes.
            return
        if self.write_graph and type(model).__name__ in ("Functional", "Sequential"):
            try:
                text = model.to_json()
            except (TypeError, ValueError) as e:
                warn_user(f"TensorBoard is shown no graph of the model: {e}")
            else:
                self._train.graph("keras", text)
        if self.embeddings_freq:
            self._describe_embeddings()

    # -- hooks --------------------------------------------------------------------------------

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._batch = 0

    def on_train_end(self, logs: dict | None = None) -> None:
        if self._profiling:
            self._stop_profile()
        self._train.close()
        self._validation.close()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self.write_steps_per_second:
            self._epoch_began = time.perf_counter(), self._iterations()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        weights = bool(self.histogram_freq) and epoch % self.histogram_freq == 0
        vectors = bool(self.embeddings_freq) and epoch % self.embeddings_freq == 0
        with processes.gathered(self.model.weights if weights or vectors else []):
            if processes.is_first():
                self._write_epoch(epoch, logs or {}, weights, vectors)

    def _write_epoch(self, epoch: int, logs: dict, weights: bool, vectors: bool) -> None:
        train = {k: v for k, v in logs.items() if not k.startswith("val_")}
        validation = {k[4:]: v for k, v in logs.items() if k.startswith("val_")}
        optimizer = getattr(self.model, "optimizer", None)
        if train and optimizer is not None:
            train |= rates_of(optimizer)
        if train and self.write_steps_per_second:
            began, before = self._epoch_began
            seconds = time.perf_counter() - began
            train["steps_per_second"] = (self._iterations() - before) / seconds
        for events, values in ((self._train, train), (self._validation, validation)):
            _scalars(events, "epoch_", values, epoch)
        if weights:
            self._write_weights(epoch)
        if vectors:
            for layer in self._embeddings():
                path = os.path.join(self.log_dir, _vectors_of(layer))
                os.makedirs(os.path.dirname(path), exist_ok=True)
                np.savetxt(path, np.asarray(layer.embeddings, "float32"), "%.7g", delimiter="\t")
        self._train.flush()

    def on_test_end(self, logs: dict | None = None) -> None:
        if getattr(self.model, "optimizer", None) is None or not processes.is_first():
            return
        values = {f"{k}_vs_iterations": v for k, v in (logs or {}).items()}
        _scalars(self._validation, "evaluation_", values, self._iterations())
        self._validation.flush()

    def _before_batch(self, batch: int, logs: dict | None = None) -> None:
        self._batch += 1
        self._batch_began = time.perf_counter()
        if self._stop_batch and self._batch == self._start_batch:
            jax.profiler.start_trace(self._train_dir)
            self._profiling = True
        if self._profiling:
            self._annotation = jax.profiler.StepTraceAnnotation("train", step_num=batch)
            self._annotation.__enter__()

    def _after_batch(self, batch: int, logs: dict | None = None) -> None:
        every = self.update_freq
        if isinstance(every, int) and self._batch % every == 0 and processes.is_first():
            values = dict(logs or {})
            if self.write_steps_per_second:
                jax.block_until_ready(values)
                values["steps_per_second"] = 1 / (time.perf_counter() - self._batch_began)
            _scalars(self._train, "batch_", values, self._batch)
        if self._annotation is not None:
            jax.block_until_ready(list((logs or {}).values()))
            self._annotation.__exit__(None, None, None)
            self._annotation = None
        if self._profiling and self._batch >= self._stop_batch:
            self._stop_profile()

    def _stop_profile(self) -> None:
        jax.profiler.stop_trace()
        self._profiling = False

    def _iterations(self) -> int:
        return int(np.asarray(self.model.optimizer.iterations))

    # -- weights ------------------------------------------------------------------------------

    def _write_weights(self, epoch: int) -> None:
        for weight in (weight for layer in self.model.layers for weight in layer.weights):
            name, value = weight.path.replace(":", "_"), np.asarray(weight, "float32")
            self._train.histogram(f"{name}/histogram", value, epoch)
            pictures = _as_pictures(value) if self.write_images else None
            if pictures is not None:
                self._train.image(f"{name}/image", pictures, epoch)

    def _embeddings(self) -> list[Any]:
        return [layer for layer in self.model.layers if isinstance(layer, Embedding)]

    def _describe_embeddings(self) -> None:
        """Writes the projector's configuration, with the names of its files."""
        given = self.embeddings_metadata
        layers = self._embeddings()
        files = dict(given) if isinstance(given, dict) else {x.name: given for x in layers if given}
        unknown = sorted(set(files) - {layer.name for layer in layers})
        if unknown:
            raise ValueError(
                f"embeddings_metadata must have names of Embedding layers as keys: "
                f"{[layer.name for layer in layers]}. Received: {unknown}"
            )
        os.makedirs(self.log_dir, exist_ok=True)
        with open(os.path.join(self.log_dir, "projector_config.pbtxt"), "w") as file:
            for layer in layers:
                fields = {"tensor_name": f"{layer.name}/embeddings"}
                if layer.name in files:
                    fields["metadata_path"] = files[layer.name]
                fields["tensor_path"] = _vectors_of(layer)
                lines = "".join(f'  {key}: "{value}"\n' for key, value in fields.items())
                file.write(f"embeddings {{\n{lines}}}\n")


def _batches(profile_batch: Any) -> tuple[int, int]:
    """The first and the last batch to profile; 0 for none."""
    parts: Any = profile_batch
    try:
        parts = parts.split(",") if isinstance(parts, str) else parts
        parts = [int(n) for n in (parts if isinstance(parts, (list, tuple)) else [parts])]
        first, last = parts if len(parts) == 2 else [*parts, *parts]
    except (TypeError, ValueError):
        first, last = -1, -1
    if first < 0 or last < first:
        raise ValueError(
            "profile_batch must be a non-negative integer or a pair of positive ones, the first "
            f"and the last batch to profile. Received: profile_batch={profile_batch!r}"
        )
    return first, last


def _scalars(events: EventFile, prefix: str, values: dict[str, Any], step: int) -> None:
    for name, value in values.items():
        if np.ndim(value) == 0:
            events.scalar(f"{prefix}{name}", value, step)


def _vectors_of(layer: Any) -> str:
    return f"train/{layer.name}_embeddings.tsv"


def _as_pictures(weight: np.ndarray) -> np.ndarray | None:
    """A weight as images `(samples, height, width, channels)`; `None` if its shape does not allow
    that."""
    weight = np.squeeze(weight)
    if weight.ndim == 1:
        return weight[None, :, None, None]
    if weight.ndim == 2:
        return (weight.T if weight.shape[0] > weight.shape[1] else weight)[None, :, :, None]
    if weight.ndim == 3:
        if image_data_format() == "channels_last":  # One image for each kernel.
            weight = weight.transpose(2, 0, 1)
        return weight[..., None]
    return None
