"""Initializers, which are functions `(shape, dtype=None)` that compute the initial value of a
weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike import random
from keraslike.core import dtypes, host, registry, serialization
from keraslike.core.arguments import one_of
from keraslike.core.configured import Configured
from keraslike.core.rng import SeedGenerator, make_seed
from keraslike.core.tracebacks import is_ours
from keraslike.ops.wrap import array


class Initializer(Configured):
    """Base of the initializers; a subclass defines `__call__(shape, dtype=None)`.

    >>> class Sevens(Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return jnp.full(shape, 7, dtype)
    >>> Sevens()((2,), "int32").tolist()
    [7, 7]
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        raise NotImplementedError(f"{type(self).__name__} has no __call__(shape, dtype) method.")

    def may_wait(self, shape: tuple[int, ...]) -> bool:
        """Whether a weight may defer the call to its first read: the call gives floats of this
        shape, cannot fail, and always returns the same values."""
        return False

    def clone(self) -> Initializer:
        """A new initializer with this one's config."""
        return type(self).from_config(self.get_config())


class Zeros(Initializer):
    """All zeros.

    >>> Zeros()((2,)).tolist()
    [0.0, 0.0]
    """

    def may_wait(self, shape: tuple[int, ...]) -> bool:
        return is_ours(type(self))

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        return host.full(tuple(shape), 0, dtypes.standardize_dtype(dtype))


class Ones(Initializer):
    """All ones.

    >>> Ones()((2,)).tolist()
    [1.0, 1.0]
    """

    def may_wait(self, shape: tuple[int, ...]) -> bool:
        return is_ours(type(self))

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        return host.full(tuple(shape), 1, dtypes.standardize_dtype(dtype))


class Constant(Initializer):
    """The same value everywhere.

    Args:
        value: a number, or an array that broadcasts to the shape.

    >>> Constant(3.0)((2,)).tolist()
    [3.0, 3.0]
    """

    def __init__(self, value: Any = 0.0):
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        return jnp.full(tuple(shape), array(self.value), dtypes.standardize_dtype(dtype))


class Identity(Initializer):
    """`gain` times the identity matrix, for a shape with two sizes.

    >>> Identity()((2, 2)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        if len(shape) != 2:
            raise ValueError(f"Identity makes matrices. Received: shape={tuple(shape)}")
        return self.gain * jnp.eye(*shape, dtype=dtypes.standardize_dtype(dtype))


class RandomInitializer(Initializer):
    """Base of random initializers.

    With an integer seed, or none, an initializer gives the same numbers at every call; with a
    SeedGenerator, new ones. Without a seed one is drawn when the initializer is made.
    """

    _not_compared = Initializer._not_compared | {"_drawn"}

    def __init__(self, seed: int | SeedGenerator | None = None):
        if seed is not None and not isinstance(seed, (int, np.integer, SeedGenerator)):
            raise ValueError(f"seed must be an integer or a SeedGenerator. Received: seed={seed!r}")
        self.seed = seed
        self._drawn = make_seed() if seed is None else seed

    # The arguments, besides the seed, that scale and shift the random numbers.
    _factors: tuple[str, ...] = ()

    def may_wait(self, shape: tuple[int, ...]) -> bool:
        factors = (getattr(self, name) for name in self._factors)
        return (
            is_ours(type(self))
            and not isinstance(self._drawn, SeedGenerator)
            and all(type(factor) in (int, float) for factor in factors)
        )


class RandomNormal(RandomInitializer):
    """Draws from a normal distribution.

    >>> RandomNormal(seed=0)((2, 3)).shape
    (2, 3)
    """

    _factors = ("mean", "stddev")

    def __init__(
        self, mean: float = 0.0, stddev: float = 0.05, seed: int | SeedGenerator | None = None
    ):
        self.mean, self.stddev = mean, stddev
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        return random.normal(shape, self.mean, self.stddev, dtype, self._drawn)


class TruncatedNormal(RandomInitializer):
    """Draws from a normal distribution cut off at two `stddev` from the mean.

    >>> bool(abs(TruncatedNormal(stddev=1.0, seed=0)((100,))).max() <= 2)
    True
    """

    _factors = ("mean", "stddev")

    def __init__(
        self, mean: float = 0.0, stddev: float = 0.05, seed: int | SeedGenerator | None = None
    ):
        self.mean, self.stddev = mean, stddev
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        return random.truncated_normal(shape, self.mean, self.stddev, dtype, self._drawn)


class RandomUniform(RandomInitializer):
    """Draws uniformly from `[minval, maxval)`.

    >>> bool(abs(RandomUniform(seed=0)((100,))).max() <= 0.05)
    True
    """

    _factors = ("minval", "maxval")

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | SeedGenerator | None = None
    ):
        self.minval, self.maxval = minval, maxval
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        return random.uniform(shape, self.minval, self.maxval, dtype, self._drawn)


# The standard deviation of a standard normal distribution that is truncated at -2 and 2.
_TRUNCATED_STDDEV = 0.87962566103423978


class VarianceScaling(RandomInitializer):
    """Draws with mean 0 and variance `scale / n`, where `n` is the number of inputs or outputs of a
    unit.

    Args:
        scale: the scale of the variance; positive.
        mode: `"fan_in"` (inputs), `"fan_out"` (outputs) or `"fan_avg"` (their mean) for `n`.
        distribution: `"truncated_normal"`, `"untruncated_normal"` or `"uniform"`.
        seed: an integer, a SeedGenerator or `None`.
        input_axes, output_axes: the axes of the weight for inputs and outputs; by default the last
            two, preceded by those of a convolution's window.

    Raises ValueError for a scale that is not positive, another mode or distribution.

    >>> VarianceScaling(scale=3.0, distribution="uniform", seed=0)((4, 2)).shape
    (4, 2)
    """

    _factors = ("scale",)

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | SeedGenerator | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ):
        if scale <= 0.0:
            raise ValueError(f"Argument `scale` must be positive float. Received: scale={scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(
                "Invalid `mode` argument: it must be fan_in, fan_out or fan_avg. "
                f"Received: mode={mode!r}"
            )
        name = {"normal": "truncated_normal"}.get(distribution.lower(), distribution.lower())
        if name not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                "Invalid `distribution` argument: it must be truncated_normal, untruncated_normal "
                "or uniform. "
                f"Received: distribution={distribution!r}"
            )
        self.scale, self.mode, self.distribution = scale, mode, name
        self.input_axes, self.output_axes = input_axes, output_axes
        super().__init__(seed)

    def may_wait(self, shape: tuple[int, ...]) -> bool:
        # Raises if the shape lacks the axes.
        compute_fans(shape, self.input_axes, self.output_axes)
        return super().may_wait(shape)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(shape, -limit, limit, dtype, self._drawn)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, 0.0, math.sqrt(variance), dtype, self._drawn)
        stddev = math.sqrt(variance) / _TRUNCATED_STDDEV
        return random.truncated_normal(shape, 0.0, stddev, dtype, self._drawn)


def compute_fans(
    shape: Sequence[int],
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> tuple[int, int]:
    """The fan-in and the fan-out of a weight with this shape.

    >>> compute_fans((3, 3, 8, 16))
    (72, 144)
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


class _Scaled(VarianceScaling):
    """A variance scaling with a name of its own."""

    _scaling: tuple[float, str, str]

    def __init__(
        self,
        seed: int | SeedGenerator | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ):
        super().__init__(*self._scaling, seed, input_axes, output_axes)


class GlorotUniform(_Scaled):
    """Draws from `[-limit, limit]`, `limit = sqrt(6 / (fan_in + fan_out))` (Glorot, AISTATS 2010).

    >>> bool(abs(GlorotUniform(seed=0)((3, 3))).max() <= 1)
    True
    """

    _scaling = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Draws from a truncated normal, `stddev = sqrt(2 / (fan_in + fan_out))` (AISTATS 2010).

    >>> GlorotNormal(seed=0)((3, 2)).shape
    (3, 2)
    """

    _scaling = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Draws from `[-limit, limit]`, `limit = sqrt(6 / fan_in)` (He et al., arXiv:1502.01852).

    >>> bool(abs(HeUniform(seed=0)((6, 3))).max() <= 1)
    True
    """

    _scaling = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Draws from a truncated normal, `stddev = sqrt(2 / fan_in)` (He et al., arXiv:1502.01852).

    >>> HeNormal(seed=0)((3, 2)).shape
    (3, 2)
    """

    _scaling = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Draws from `[-limit, limit]`, `limit = sqrt(3 / fan_in)` (Klambauer, arXiv:1706.02515).

    >>> bool(abs(LecunUniform(seed=0)((3, 2))).max() <= 1)
    True
    """

    _scaling = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Draws from a truncated normal, `stddev = sqrt(1 / fan_in)` (Klambauer, arXiv:1706.02515).

    >>> LecunNormal(seed=0)((3, 2)).shape
    (3, 2)
    """

    _scaling = (1.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """`gain` times a random matrix with orthonormal columns, or rows if they are fewer.

    A shape of more than two sizes is a matrix of `prod(shape[:-1])` rows (Saxe, arXiv:1312.6120).

    Raises ValueError for fewer than two sizes.

    >>> q = Orthogonal(seed=0)((2, 2))
    >>> bool(jnp.allclose(q @ q.T, jnp.eye(2), atol=1e-6))
    True
    """

    _factors = ("gain",)

    def __init__(self, gain: float = 1.0, seed: int | SeedGenerator | None = None):
        self.gain = gain
        super().__init__(seed)

    def may_wait(self, shape: tuple[int, ...]) -> bool:
        return len(shape) > 1 and super().may_wait(shape)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs at least two sizes. Received: shape={tuple(shape)}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        dtype = dtypes.standardize_dtype(dtype)
        # Half precision has no QR decomposition.
        whole = "float32" if dtypes.is_half(dtype) else dtype
        drawn = random.normal(tall, dtype=whole, seed=self._drawn)
        # numpy's needs no compilation for the shape, but supports neither tracers nor other dtypes.
        by_numpy = drawn.dtype == "float32" and not isinstance(drawn, jax.core.Tracer)
        module: Any = np if by_numpy else jnp
        q, r = module.linalg.qr(drawn)
        # Makes the distribution uniform over all orthogonal matrices.
        q = q * module.sign(module.diag(r))
        return jnp.reshape(self.gain * (q if rows >= columns else q.T), shape).astype(dtype)


class STFT(Initializer):
    """The kernel of a convolution that computes a short-time Fourier transform.

    Args:
        side: the `"real"` or the `"imag"` part.
        window: the window function: a name for `scipy.signal.get_window`, an array, or `None`.
        scaling: the scaling of powers, `"density"`, `"spectrum"` or `None`.
        periodic: whether the named window is periodic.

    The shape is `(frame_length, channels, fft_length // 2 + 1)`.

    >>> STFT(window=None)((2, 1, 2)).ravel().round(3).tolist()
    [1.0, 1.0, 1.0, -1.0]
    """

    def __init__(
        self,
        side: str = "real",
        window: Any = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ):
        self.side = one_of(("real", "imag"), side=side)
        self.window = window
        self.scaling = scaling if scaling is None else one_of(_SCALINGS, scaling=scaling)
        self.periodic = periodic = bool(periodic)
        if isinstance(window, str):
            _window(window, 1, periodic)  # Raises if the name is unknown.

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        frame, _, frequencies = shape
        angles = np.outer(np.arange(frame), np.arange(frequencies)) / (2 * (frequencies - 1))
        angles *= -2 * np.pi
        kernel = np.cos(angles) if self.side == "real" else np.sin(angles)
        if self.window is not None:
            window = _window(self.window, frame, self.periodic)
            if window.shape != (frame,):
                raise ValueError(
                    f"The shape of `window` must be equal to [frame_length], ({frame},). "
                    f"Received: window of shape {window.shape}"
                )
            scale = {None: 1.0, "density": np.sqrt(np.sum(window**2))}
            scale["spectrum"] = np.sum(np.abs(window))
            kernel = kernel * window[:, None] / scale[self.scaling]
        return jnp.asarray(kernel[:, None], dtypes.standardize_dtype(dtype))


_SCALINGS = ("density", "spectrum")


def _window(window: Any, length: int, periodic: bool) -> np.ndarray:
    from scipy import signal

    found = signal.get_window(window, length, periodic) if isinstance(window, str) else window
    return np.asarray(found, dtype=np.float64)


_classes = (
    *(Initializer, Zeros, Ones, Constant, Identity, RandomNormal, RandomUniform, TruncatedNormal),
    *(VarianceScaling, GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform),
    *(LecunNormal, Orthogonal, STFT),
)
# Keras also has every class under its name in snake case.
zeros, ones, constant, identity = Zeros, Ones, Constant, Identity
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling, orthogonal = VarianceScaling, Orthogonal
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
he_uniform, he_normal = HeUniform, HeNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
stft = STFTInitializer = STFT

registry.publish(
    "keras.initializers",
    {c.__name__: c for c in _classes},
    aliases={
        "zero": Zeros,
        "one": Ones,
        "normal": RandomNormal,
        "uniform": RandomUniform,
        "IdentityInitializer": Identity,
        "OrthogonalInitializer": Orthogonal,
        "STFTInitializer": STFT,
    },
)


def get(identifier: Any) -> Callable | None:
    """An initializer from a name, a config, a class, a function, an array, or `None` itself.

    Raises ValueError for a name that does not exist.

    >>> get("zero")((2,)).tolist()
    [0.0, 0.0]
    """
    if isinstance(identifier, (np.ndarray, np.generic, jax.Array)):
        value = array(identifier)

        def given(shape: Sequence[int], dtype: Any = None) -> jax.Array:
            if tuple(shape) != value.shape:
                raise ValueError(
                    f"Expected `shape` to be {value.shape}, that of the array which is the "
                    f"initializer. Received: shape={tuple(shape)}"
                )
            return value.astype(dtypes.standardize_dtype(dtype))

        return given
    return serialization.get("initializers", identifier)


def serialize(initializer: Any) -> Any:
    """The config dict of an initializer.

    >>> serialize(Zeros())["class_name"]
    'Zeros'
    """
    return serialization.serialize(initializer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The initializer that a config of `serialize` describes.

    >>> deserialize(serialize(Constant(2.0))) == Constant(2.0)
    True
    """
    with registry.custom_object_scope(custom_objects or {}):
        return get(config)


__all__ = [
    *(c.__name__ for c in _classes),
    *("zeros", "ones", "constant", "identity", "random_normal", "random_uniform"),
    *("truncated_normal", "variance_scaling", "orthogonal", "glorot_uniform", "glorot_normal"),
    *("he_uniform", "he_normal", "lecun_uniform", "lecun_normal"),
    *("stft", "STFTInitializer"),
    *("IdentityInitializer", "OrthogonalInitializer", "get", "serialize", "deserialize"),
]
__dir__ = __all__.copy
