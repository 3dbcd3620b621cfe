"""`FeatureSpace`: encodes the columns of a table as an array of numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike import layers
from keraslike.core import foreign, registry, serialization
from keraslike.core.configured import Configured
from keraslike.core.naming import auto_name
from keraslike.core.symbolic import KerasTensor
from keraslike.layers.layer import Layer


class Cross(Configured):
    """Several features that are combined into one category.

    Args:
        feature_names: the names of features whose preprocessors return integers or text.
        crossing_dim: the number of categories.
        output_mode: `"int"` for the category, or `"one_hot"`.
    """

    def __init__(
        self, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ):
        _one_of({"int", "one_hot"}, output_mode)
        self.feature_names, self.crossing_dim = tuple(feature_names), crossing_dim
        self.output_mode = output_mode

    @property
    def name(self) -> str:
        return "_X_".join(self.feature_names)


class Feature(Configured):
    """The encoding of a column.

    Args:
        dtype: the dtype of the column.
        preprocessor: a layer that is called on the column, of shape `(batch, 1)`.
        output_mode: `"float"` or `"int"` for the output of the preprocessor, `"one_hot"` for the
            one-hot encoding of its integers.
    """

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str):
        _one_of({"int", "one_hot", "float"}, output_mode)
        if isinstance(preprocessor, dict):
            preprocessor = serialization.deserialize(preprocessor)
        self.dtype, self.preprocessor, self.output_mode = dtype, preprocessor, output_mode


class TFDIdentity(Layer):
    """Returns its inputs. The name is Keras's, which saved files contain."""

    def call(self, inputs: Any) -> Any:
        return inputs


def _one_of(allowed: set[str], output_mode: str) -> None:
    if output_mode not in allowed:
        raise ValueError(
            f"Invalid value for argument `output_mode`. Expected one of {sorted(allowed)}. "
            f"Received: output_mode={output_mode}"
        )


class FeatureSpace(Layer):
    """Encodes the columns of a table as an array of numbers, by the kind of each column.

    Args:
        features: the kind of each column, by its name: `"float"`, `"float_normalized"`,
            `"float_rescaled"`, `"float_discretized"`, `"integer_categorical"`,
            `"string_categorical"`, `"integer_hashed"`, `"string_hashed"`, or a `Feature`, which the
            methods of these names and `feature` return.
        output_mode: `"concat"` for one array, or `"dict"` for one array for each column.
        crosses: tuples of names of columns to combine, or results of `cross`.
        crossing_dim, hashing_dim, num_discretization_bins: the default numbers of categories of
            crosses, of hashed columns and of discretized columns.

    It is called on a dict of columns, or of values of one row. Raises ValueError for other inputs,
    and if `adapt` must be called first.

    >>> space = FeatureSpace({"age": "float", "city": "string_categorical"})
    >>> table = {"age": [20.0, 30.0], "city": ["Rome", "Oslo"]}
    >>> space.adapt(table)
    >>> space(table).tolist()
    [[20.0, 0.0, 1.0, 0.0], [30.0, 0.0, 0.0, 1.0]]
    """

    def __init__(
        self,
        features: dict[str, Any],
        output_mode: str = "concat",
        crosses: Any = None,
        crossing_dim: int | None = 32,
        hashing_dim: int = 32,
        num_discretization_bins: int = 32,
        name: str | None = None,
    ):
        super().__init__(name=name)
        if not features:
            raise ValueError(f"`features` cannot be None or empty. Received: {features}")
        self.crossing_dim, self.hashing_dim = crossing_dim, hashing_dim
        self.num_discretization_bins = num_discretization_bins
        self.features = {n: self._standardize_feature(n, kind) for n, kind in features.items()}
        self.crosses = [self._standardize_cross(cross) for cross in crosses or ()]
        _one_of({"dict", "concat"}, output_mode)
        self.output_mode = output_mode
        self.inputs = {
            n: layers.Input(shape=(1,), dtype=feature.dtype, name=n)
            for n, feature in self.features.items()
        }
        self.preprocessors = {n: feature.preprocessor for n, feature in self.features.items()}
        self.crossers = {
            cross.name: layers.HashedCrossing(cross.crossing_dim, name=cross.name)
            for cross in self.crosses
        }
        self.one_hot_encoders: dict[str, Any] = {}
        self.encoded_features: Any = None
        self._is_adapted = False

    # -- kinds of columns -------------------------------------------------------------------------

    @classmethod
    def cross(
        cls, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ) -> Cross:
        """Several columns combined into one of `crossing_dim` categories."""
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """A column that a given layer encodes."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Floats, unchanged."""
        name = name or auto_name("float")
        return Feature(
            "float32", TFDIdentity(dtype="float32", name=f"{name}_preprocessor"), "float"
        )

    @classmethod
    def float_rescaled(
        cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None
    ) -> Feature:
        """Floats times `scale` plus `offset`."""
        name = name or auto_name("float_rescaled")
        layer = layers.Rescaling(scale, offset, name=f"{name}_preprocessor")
        return Feature("float32", layer, "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Floats normalized to the mean 0 and the variance 1."""
        name = name or auto_name("float_normalized")
        return Feature("float32", layers.Normalization(name=f"{name}_preprocessor"), "float")

    @classmethod
    def float_discretized(
        cls,
        num_bins: int | None,
        bin_boundaries: Any = None,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """The bins of floats."""
        name = name or auto_name("float_discretized")
        layer = layers.Discretization(bin_boundaries, num_bins, name=f"{name}_preprocessor")
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Integers as categories of a vocabulary that `adapt` computes."""
        name = name or auto_name("integer_categorical")
        layer = layers.IntegerLookup(max_tokens, num_oov_indices, name=f"{name}_preprocessor")
        return Feature("int32", layer, output_mode)

    @classmethod
    def string_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Texts as categories of a vocabulary that `adapt` computes."""
        name = name or auto_name("string_categorical")
        layer = layers.StringLookup(max_tokens, num_oov_indices, name=f"{name}_preprocessor")
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Texts as categories, by their hashes."""
        name = name or auto_name("string_hashed")
        layer = layers.Hashing(num_bins, name=f"{name}_preprocessor")
        return Feature("string", layer, output_mode)

    @classmethod
    def integer_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Integers as categories, by their hashes."""
        name = name or auto_name("integer_hashed")
        layer = layers.Hashing(num_bins, name=f"{name}_preprocessor")
        return Feature("int32", layer, output_mode)

    def _standardize_feature(self, name: str, kind: Any) -> Feature:
        if isinstance(kind, dict):
            kind = serialization.deserialize(kind)
        if isinstance(kind, Feature):
            return kind
        if kind not in _KINDS:
            raise ValueError(f"Invalid feature type: {kind}")
        given = {
            "float_discretized": {"num_bins": self.num_discretization_bins},
            "integer_hashed": {"num_bins": self.hashing_dim},
            "string_hashed": {"num_bins": self.hashing_dim},
        }
        return getattr(self, kind)(name=name, **given.get(kind, {}))

    def _standardize_cross(self, cross: Any) -> Cross:
        if isinstance(cross, dict):
            cross = serialization.deserialize(cross)
        if not isinstance(cross, Cross):
            if not self.crossing_dim:
                raise ValueError(
                    "`crosses` need a `crossing_dim`, the number of categories that combinations "
                    "are hashed to. Received: crossing_dim=None"
                )
            cross = Cross(cross, self.crossing_dim)
        if not set(cross.feature_names) <= set(self.features):
            raise ValueError(
                "The columns of `crosses` should be present in `features`. Received: "
                f"{cross.feature_names}"
            )
        return cross

    # -- adaptation to data -----------------------------------------------------------------------

    def adapt(self, dataset: Any) -> None:
        """Adapts the preprocessors to data: vocabularies, means and bin boundaries.

        Args:
            dataset: a dict of columns, or a dataset of dicts of values or of batches of values.
        """
        iterates = hasattr(dataset, "__iter__") and not hasattr(dataset, "shape")
        if not iterates or isinstance(dataset, (str, list, tuple)):
            raise ValueError(
                "`adapt()` can only be called on a dataset or a dict of arrays/lists. "
                f"Received instead: {dataset} (of type {type(dataset)})"
            )
        if not isinstance(dataset, dict) and iter(dataset) is dataset:
            raise ValueError(
                "`adapt()` iterates over the data once for each feature. Received an iterator, "
                f"which can be iterated over only once: {dataset}"
            )
        for name in self._adaptable():
            self.preprocessors[name].adapt(_batches(dataset, name))
        self._is_adapted = True
        self.encoded_features, self.one_hot_encoders = None, {}
        self.get_encoded_features()
        self.built = True

    def _adaptable(self) -> list[str]:
        def learns(layer: Any) -> bool:
            given = getattr(layer, "input_mean", None) is not None
            given = given or getattr(layer, "_has_input_vocabulary", False)
            given = given or getattr(layer, "num_bins", 0) is None
            return hasattr(layer, "adapt") and not given

        return [name for name, layer in self.preprocessors.items() if learns(layer)]

    def get_inputs(self) -> dict[str, KerasTensor]:
        """Symbolic tensors for the columns, as the inputs of a model."""
        self.get_encoded_features()
        return self.inputs

    def get_encoded_features(self) -> Any:
        """The encoding of `get_inputs()`, a symbolic tensor or a dict of them."""
        if not self._is_adapted and self._adaptable():
            raise ValueError(
                "You need to call `.adapt(dataset)` first: the encoding of some columns depends on "
                "the data."
            )
        if self.encoded_features is None:
            self._make_encoders()
            self.encoded_features = self._encoded(self.inputs)
        return self.encoded_features

    # -- encoding ---------------------------------------------------------------------------------

    def _make_encoders(self) -> None:
        specs: dict[str, Any] = {**self.features, **{cross.name: cross for cross in self.crosses}}
        for name in self._order():
            if specs[name].output_mode != "one_hot":
                continue
            layer = self.preprocessors.get(name) or self.crossers[name]
            if hasattr(layer, "vocabulary_size"):
                size = layer.vocabulary_size()
            else:
                size = getattr(layer, "num_tokens", None) or getattr(layer, "num_bins", None)
            if size is None and getattr(layer, "bin_boundaries", None) is not None:
                size = len(layer.bin_boundaries) + 1
            if size is None:
                raise ValueError(
                    f"Feature '{name}' cannot have `output_mode='one_hot'`, since the number of "
                    "categories of its preprocessor is unknown. Use `output_mode='int'`."
                )
            self.one_hot_encoders[name] = layers.CategoryEncoding(size, "multi_hot")

    def _order(self) -> list[str]:
        return [*sorted(self.features), *sorted(self.crossers)]

    def _encoded(self, columns: dict[str, Any]) -> Any:
        found = {name: self.preprocessors[name](columns[name]) for name in self.features}
        for cross in self.crosses:
            found[cross.name] = self.crossers[cross.name](
                [found[name] for name in cross.feature_names]
            )
        encoded = {}
        for name in self._order():
            value = found[name]
            encoder = self.one_hot_encoders.get(name)
            kind = str(value.dtype)
            if encoder is not None:
                if "int" not in kind:
                    raise ValueError(
                        f"Feature '{name}' has `output_mode='one_hot'`, so its preprocessor must "
                        f"return integers. It returned the dtype {kind}."
                    )
                value = encoder(value)
            elif self.output_mode == "concat" and ("int" in kind or kind == "string"):
                raise ValueError(
                    f"Feature '{name}' cannot be concatenated with others: it is not encoded, and "
                    f"its dtype is {kind}. Use `output_mode='dict'`."
                )
            encoded[name] = value
        if self.output_mode == "dict":
            return encoded
        values = list(encoded.values())
        if len(values) == 1:
            return values[0]
        if isinstance(values[0], KerasTensor):
            return layers.Concatenate(axis=-1)(values)
        return jnp.concatenate(values, axis=-1)

    def __call__(self, data: Any) -> Any:
        self.get_encoded_features()
        if not isinstance(data, dict):
            raise ValueError(
                "A FeatureSpace can only be called with a dict. "
                f"Received: data={data} (of type {type(data)})"
            )
        if missing := [name for name in self.features if name not in data]:
            raise ValueError(f"The dict lacks the features {missing}. Its keys: {list(data)}")
        try:
            columns = {name: _array(data[name]) for name in self.features}
        except foreign.InGraph:
            first, spec = data[next(iter(self.features))].shape, self.encoded_features
            spec = jax.tree.map(lambda t: KerasTensor((*first[:1], *t.shape[1:]), t.dtype), spec)
            return foreign.through_graph(self, (data,), {}, spec)
        one = any(x.ndim == 0 for x in columns.values())
        columns = {n: x.reshape(1, 1) if x.ndim == 0 else x for n, x in columns.items()}
        columns = {n: x[:, None] if x.ndim == 1 else x for n, x in columns.items()}
        encoded = self._encoded(columns)
        return jax.tree.map(lambda x: x[0], encoded) if one else encoded

    # -- files ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        names = ("features", "output_mode", "crosses", "crossing_dim", "hashing_dim")
        config = {name: getattr(self, name) for name in (*names, "num_discretization_bins")}
        return serialization.serialize(config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def get_build_config(self) -> dict[str, Any]:
        return {n: layer.get_build_config() or {} for n, layer in self.preprocessors.items()}

    def build_from_config(self, config: dict[str, Any]) -> None:
        for name, build_config in config.items():
            layer = self.preprocessors[name]
            if not layer.built:
                layer.build_from_config(build_config)
        self._is_adapted = True

    def save(self, filepath: Any) -> None:
        """Writes a `.keras` file, which `keraslike.saving.load_model` reads."""
        serialization.get("saving", "save_model")(self, filepath)


_KINDS = (
    *("float", "float_rescaled", "float_normalized", "float_discretized"),
    *("integer_categorical", "string_categorical", "integer_hashed", "string_hashed"),
)


def _array(column: Any) -> Any:
    return column if isinstance(column, jax.Array) else foreign.as_numpy(column)


def _batches(dataset: Iterable[Any], name: str) -> Iterator[np.ndarray]:
    """The values of a feature in a dataset, as arrays with at least two axes."""
    if isinstance(dataset, dict):
        dataset = [dataset]
    elements = (element[0] if isinstance(element, tuple) else element for element in dataset)
    values = (np.asarray(_array(element[name])) for element in elements)
    first = next(values, None)
    if first is None:
        return
    values = itertools.chain([first], values)
    while first.ndim == 0 and (together := list(itertools.islice(values, 32))):
        yield np.stack(together)[:, None]
    for value in values:
        yield value[:, None] if value.ndim == 1 else value


_MODULE = "keras.src.layers.preprocessing.feature_space"
registry.publish(_MODULE, {"Feature": Feature, "Cross": Cross, "TFDIdentity": TFDIdentity})
registry.publish("keras.utils", {"FeatureSpace": FeatureSpace})
