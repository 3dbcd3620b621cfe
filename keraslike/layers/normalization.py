"""Normalization over the batch, over the features of a sample, over groups of channels, and of
kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from keraslike import initializers
from keraslike.core import dtypes
from keraslike.core.arguments import given, unsupported, warn_user
from keraslike.layers.input_spec import InputSpec
from keraslike.layers.layer import Layer
from keraslike.layers.weighted import Weighted
from keraslike.layers.wrappers import Wrapper
from keraslike.ops import nn
from keraslike.ops.products import matmul
from keraslike.ops.variance import mean_and_variance
from keraslike.ops.wrap import steps


class _Normalization(Weighted):
    """Base of layers that compute `gamma * (inputs - mean) / sqrt(variance + epsilon) + beta` in
    float32 or a wider dtype."""

    supports_masking = True
    gamma: Any = None
    beta: Any = None

    epsilon: float
    center: bool
    scale: bool
    beta_initializer: Any
    beta_regularizer: Any
    beta_constraint: Any
    gamma_initializer: Any
    gamma_regularizer: Any
    gamma_constraint: Any

    def _build_scale_and_center(self, shape: Sequence[Any], scale: bool, center: bool) -> None:
        self.gamma = self.beta = None
        if scale:
            self.gamma = self._add("gamma", shape, autocast=False)
        if center:
            self.beta = self._add("beta", shape, autocast=False)


def _axes(layer: Layer, input_shape: Sequence[Any], axis: int | Sequence[int]) -> list[int]:
    """The axes as non-negative numbers, sorted; raises ValueError for one out of range."""
    rank, axes = len(input_shape), [axis] if isinstance(axis, int) else axis
    for found in axes:
        if not -rank <= found < rank:
            raise ValueError(
                f"Layer '{layer.name}' ({type(layer).__name__}) has axis={found}, which an input "
                f"of shape {tuple(input_shape)} does not have."
            )
    return sorted(found % rank for found in axes)


def _one_or_several(value: Any, otherwise: str) -> int | list[int]:
    if not isinstance(value, (int, list, tuple)):
        raise TypeError(f"{otherwise}. Received: axis={value!r}")
    return value if isinstance(value, int) else list(value)


def _at_least_float32(x: jax.Array) -> jax.Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


class BatchNormalization(_Normalization):
    """`gamma * (inputs - mean) / sqrt(variance + epsilon) + beta`, feature by feature.

    In training, mean and variance are those of the batch, and update moving averages: `moving =
    momentum * moving + (1 - momentum) * batch`. In inference, and if the layer is not trainable,
    the moving averages are used (Ioffe and Szegedy, arXiv:1502.03167).

    Args:
        axis: the axis of the features; 1 for images with the channels first.
        momentum: the momentum of the moving averages.
        epsilon: added to the variance.
        center, scale: whether there is a `beta` and a `gamma`.
        renorm: whether the batch's mean and variance are corrected towards moving ones in training
            (Ioffe, arXiv:1702.03275), within the limits `rmin`, `rmax` and `dmax` of
            `renorm_clipping`.
        synchronized: must be false: a batch on several devices is always normalized as a whole.

    Accepts and returns any shape, in the compute dtype. Masked steps are ignored.

    >>> layer = BatchNormalization()
    >>> x = jnp.array([[1.0], [3.0]])
    >>> layer(x, training=True).round(2).tolist(), float(layer.moving_mean[0].round(2))
    ([[-1.0], [1.0]], 0.019999...)
    """

    moving_mean: Any = None
    moving_variance: Any = None
    moving_mean_initializer: Any
    moving_variance_initializer: Any
    renorm: bool
    renorm_momentum: float

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(BatchNormalization, **given(locals()))
        unsupported(synchronized=synchronized)
        self.axis = int(axis)
        self.momentum, self.epsilon = float(momentum), float(epsilon)
        if renorm:
            self.renorm_clipping = _check_clipping(renorm_clipping or {})

    def build(self, input_shape: Sequence[int | None]) -> None:
        _axes(self, input_shape, self.axis)
        size = input_shape[self.axis]
        self._build_scale_and_center((size,), self.scale, self.center)

        def moving(name: str, initializer: Any) -> Any:
            return self.add_weight((size,), initializer, trainable=False, autocast=False, name=name)

        self.moving_mean = moving("moving_mean", self.moving_mean_initializer)
        self.moving_variance = moving("moving_variance", self.moving_variance_initializer)
        if self.renorm:
            variance: Any = self.moving_variance_initializer

            def stddev(shape: Sequence[int], dtype: Any = None) -> jax.Array:
                return jnp.sqrt(variance(shape, dtype=dtype))

            self.moving_stddev = moving("moving_stddev", stddev)
            self.renorm_mean = moving("renorm_mean", self.moving_mean_initializer)
            self.renorm_stddev = moving("renorm_stddev", stddev)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def call(
        self, inputs: jax.Array, training: bool | None = None, mask: jax.Array | None = None
    ) -> jax.Array:
        x = _at_least_float32(inputs)
        gamma, beta = self.gamma, self.beta
        if training and self.trainable:
            mean, variance = self._moments(x, mask)
            if self.renorm:
                gamma, beta = self._corrected(gamma, beta, mean, variance)
            self._update(mean, variance)
        else:
            mean = _at_least_float32(self.moving_mean.value)
            variance = _at_least_float32(self.moving_variance.value)
        outputs = nn.batch_normalization(x, mean, variance, self.axis, beta, gamma, self.epsilon)
        return outputs.astype(self.compute_dtype)

    def _moments(self, x: jax.Array, mask: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """The mean and the variance of each feature, over the steps that the mask includes."""
        axes = tuple(a for a in range(x.ndim) if a != self.axis % x.ndim)
        if mask is None:
            return mean_and_variance(x, axes)
        if mask.ndim != x.ndim - 1:
            raise ValueError(
                f"Layer '{self.name}': a mask has one axis less than the inputs. "
                f"Received: mask of shape {mask.shape}, inputs of shape {x.shape}"
            )
        keep = jnp.broadcast_to(mask[..., None].astype(bool), x.shape)
        count = jnp.sum(keep.astype(x.dtype), axes, keepdims=True) + dtypes.epsilon()
        mean = jnp.sum(jnp.where(keep, x, 0), axes, keepdims=True) / count
        squares = jnp.where(keep, jnp.square(x - mean), 0)
        variance = jnp.sum(squares, axes, keepdims=True) / count
        return mean.squeeze(axes), variance.squeeze(axes)

    def _update(self, mean: jax.Array, variance: jax.Array) -> None:
        def follow(moving: Any, value: jax.Array, momentum: float) -> jax.Array:
            value = _at_least_float32(moving.value) * momentum + value * (1.0 - momentum)
            moving.assign(value)
            return value

        follow(self.moving_mean, mean, self.momentum)
        if not self.renorm:
            follow(self.moving_variance, variance, self.momentum)
            return
        stddev = jnp.sqrt(variance + self.epsilon)
        follow(self.renorm_mean, mean, self.renorm_momentum)
        follow(self.renorm_stddev, stddev, self.renorm_momentum)
        moving_stddev = follow(self.moving_stddev, stddev, self.momentum)
        self.moving_variance.assign(jax.nn.relu(jnp.square(moving_stddev) - self.epsilon))

    def _corrected(self, gamma: Any, beta: Any, mean: jax.Array, variance: jax.Array) -> tuple:
        """`gamma` and `beta`, corrected so that the result is normalized by the moving moments."""
        limits = self.renorm_clipping or {}
        stddev = jnp.sqrt(variance + self.epsilon)
        moving = jnp.maximum(_at_least_float32(self.renorm_stddev.value), self.epsilon**0.5)
        dmax = limits.get("dmax")
        r = jnp.clip(stddev / moving, limits.get("rmin"), limits.get("rmax"))
        d = jnp.clip(
            (mean - self.renorm_mean.value) / moving, None if dmax is None else -dmax, dmax
        )
        r, d = lax.stop_gradient((r, d))
        if gamma is not None:
            r, d = r * gamma, d * gamma
        return r, d if beta is None else d + beta


def _check_clipping(limits: dict[str, float]) -> dict[str, float]:
    rmin, rmax, dmax = (limits.get(k) for k in ("rmin", "rmax", "dmax"))
    for wrong, expected in (
        (
            set(limits) - {"rmin", "rmax", "dmax"},
            "Received invalid keys: it takes rmin, rmax, dmax",
        ),
        (rmin is not None and rmax is not None and rmax < rmin, "rmax should be at least rmin"),
        (dmax is not None and dmax < 0, "dmax should be non-negative"),
    ):
        if wrong:
            raise ValueError(
                f"Invalid renorm_clipping. {expected}. Received: renorm_clipping={limits}"
            )
    return limits


class LayerNormalization(_Normalization):
    """`gamma * (inputs - mean) / sqrt(variance + epsilon) + beta`, sample by sample.

    Mean and variance are taken over `axis` of one sample (Ba et al., arXiv:1607.06450).

    Args:
        axis: one or several.
        epsilon: added to the variance.
        center, scale: whether there is a `beta` and a `gamma`; they have the shape of the axes.
        rms_scaling: whether to divide by the standard deviation without subtracting the mean or
            adding `beta`. Deprecated in Keras, since it is not the root mean square.

    Accepts and returns any shape, in the compute dtype.

    >>> LayerNormalization()(jnp.array([[1.0, 3.0]])).round(2).tolist()
    [[-1.0, 1.0]]
    """

    autocast = False  # Inputs are cast to float32 or a wider dtype in `call`.

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        rms_scaling: bool = False,
        **kwargs: Any,
    ):
        super().__init__(LayerNormalization, **given(locals()))
        self.axis = _one_or_several(
            axis, "Expected an int or a list/tuple of ints for the argument 'axis'"
        )
        if rms_scaling:
            warn_user(
                "rms_scaling=True divides by the standard deviation, not by the root mean square."
            )

    def build(self, input_shape: Sequence[int | None]) -> None:
        shape = tuple(input_shape[axis] for axis in _axes(self, input_shape, self.axis))
        self._build_scale_and_center(
            shape, self.scale or self.rms_scaling, self.center and not self.rms_scaling
        )

    def call(self, inputs: jax.Array) -> jax.Array:
        axes = _axes(self, inputs.shape, self.axis)
        if self.rms_scaling:
            x = _at_least_float32(inputs)
            shape = [n if axis in axes else 1 for axis, n in enumerate(x.shape)]
            factor = lax.rsqrt(jnp.var(x, tuple(axes), keepdims=True) + self.epsilon)
            outputs = x * factor * self.gamma.value.reshape(shape)
        else:
            outputs = nn.layer_normalization(inputs, self.gamma, self.beta, axes, self.epsilon)
        return outputs.astype(self.compute_dtype)


class GroupNormalization(_Normalization):
    """`gamma * (inputs - mean) / sqrt(variance + epsilon) + beta`, by groups of channels.

    Mean and variance are those of one group of channels of one sample (Wu and He,
    arXiv:1803.08494).

    Args:
        groups: the number of groups of adjacent channels; -1 for one per channel.
        axis: the axis of the channels.
        epsilon: added to the variance.
        center, scale: whether there is a `beta` and a `gamma`, which have the size of the channels.

    Accepts and returns any shape, in the compute dtype. Raises ValueError if the groups do not
    divide the channels.

    >>> GroupNormalization(groups=2)(jnp.array([[1.0, 3.0, 10.0, 30.0]])).round(2).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """

    autocast = False  # Inputs are cast to float32 or a wider dtype in `call`.

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(GroupNormalization, **given(locals()))
        if not isinstance(groups, int) or (groups < 1 and groups != -1):
            raise ValueError(
                "Invalid value for argument `groups`: it must be a positive integer, or -1 for as "
                f"many as channels. Received: groups={groups}"
            )

    def build(self, input_shape: Sequence[int | None]) -> None:
        (axis,) = _axes(self, input_shape, self.axis)
        size = input_shape[axis]
        if self.groups == -1 and size is not None:
            self.groups = size
        if size is None:
            raise ValueError(
                f"Axis {self.axis} of the input tensor should have a defined dimension but the "
                f"layer received an input with shape {tuple(input_shape)}."
            )
        if size < self.groups:
            raise ValueError(
                f"The number of groups, {self.groups}, cannot be more than the number of channels, "
                f"{size}. Received: input_shape={tuple(input_shape)}"
            )
        if size % self.groups:
            raise ValueError(
                f"Layer '{self.name}': the number of channels must be a multiple of "
                f"groups={self.groups}. Received: {size} channels, input_shape={input_shape}"
            )
        self._build_scale_and_center((size,), self.scale, self.center)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def call(self, inputs: jax.Array) -> jax.Array:
        (axis,) = _axes(self, inputs.shape, self.axis)
        inside = (self.groups, inputs.shape[axis] // self.groups)
        x = _at_least_float32(inputs)
        x = x.reshape(*x.shape[:axis], *inside, *x.shape[axis + 1 :])
        over = tuple(a for a in range(1, x.ndim) if a != axis)
        x = x - jnp.mean(x, over, keepdims=True)
        outputs = x * lax.rsqrt(jnp.mean(jnp.square(x), over, keepdims=True) + self.epsilon)
        shape = (*inside, *(1,) * (inputs.ndim - axis - 1))
        if self.gamma is not None:
            outputs = outputs * _at_least_float32(self.gamma.value).reshape(shape)
        if self.beta is not None:
            outputs = outputs + _at_least_float32(self.beta.value).reshape(shape)
        return outputs.reshape(inputs.shape).astype(self.compute_dtype)


class RMSNormalization(Layer):
    """`scale * inputs / sqrt(mean(inputs**2) + epsilon)`, sample by sample.

    The mean is over `axis` (Zhang and Sennrich, arXiv:1910.07467), and `scale` has the shape of
    these axes.

    Accepts and returns any shape, in the compute dtype.

    >>> RMSNormalization()(jnp.array([[5.0, -5.0]])).round(2).tolist()
    [[1.0, -1.0]]
    """

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = _one_or_several(
            axis, "Expected an int or a list/tuple of ints for the argument 'axis'"
        )
        self.epsilon = epsilon

    def build(self, input_shape: Sequence[int | None]) -> None:
        shape = [input_shape[axis] for axis in _axes(self, input_shape, self.axis)]
        self.axis = [self.axis] if isinstance(self.axis, int) else sorted(self.axis)
        self.scale = self.add_weight(shape, "ones", name="scale")

    def call(self, inputs: jax.Array) -> jax.Array:
        axes = _axes(self, inputs.shape, self.axis)
        shape = [n if axis in axes else 1 for axis, n in enumerate(inputs.shape)]
        scale = self.scale.value.reshape(shape)
        return nn.rms_normalization(inputs, scale, axes, self.epsilon).astype(inputs.dtype)


class UnitNormalization(Layer):
    """The inputs divided by their Euclidean norm over `axis`, sample by sample.

    >>> UnitNormalization()(jnp.array([[0.0, -4.0]])).tolist()
    [[0.0, -1.0]]
    """

    built = True
    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = _one_or_several(
            axis, "Invalid value for `axis` argument: expected an int or a list/tuple of ints"
        )

    def call(self, inputs: jax.Array) -> jax.Array:
        return nn.normalize(inputs, _axes(self, inputs.shape, self.axis), epsilon=1e-12)


class SpectralNormalization(Wrapper):
    """A layer whose kernel is divided by its largest singular value in each step of training.

    Power iteration approximates that value (Miyato et al., arXiv:1802.05957).

    Args:
        layer: a layer with a `kernel` or, like `Embedding`, `embeddings`.
        power_iterations: the number of iterations per step.

    With `training=True` the kernel is set to the normalized one. As in Keras on JAX, the
    optimizer's update in `fit` applies to the kernel before that.

    Raises ValueError for a layer that has no kernel.

    >>> from keraslike.layers import Dense
    >>> layer = SpectralNormalization(Dense(2, kernel_initializer="ones"), power_iterations=3)
    >>> y = layer(jnp.ones((1, 2)), training=True)
    >>> layer.kernel.value.round(2).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any):
        super().__init__(layer, **kwargs)
        if power_iterations < 1:
            raise ValueError(
                f"`power_iterations` should be greater than zero. Received: {power_iterations=}"
            )
        self.power_iterations = steps(power_iterations=power_iterations)

    def build(self, input_shape: Sequence[int | None]) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        found = [getattr(self.layer, n) for n in ("kernel", "embeddings") if hasattr(self.layer, n)]
        if not found:
            raise ValueError(
                f"{type(self.layer).__name__} object has no attribute 'kernel' nor 'embeddings'. "
                f"Received: layer={self.layer!r}"
            )
        self.kernel = found[0]
        self.vector_u = self.add_weight(
            (1, self.kernel.shape[-1]),
            initializers.TruncatedNormal(stddev=0.02),
            dtype=self.kernel.dtype,
            trainable=False,
            name="vector_u",
        )

    def call(self, inputs: jax.Array, training: bool | None = False) -> jax.Array:
        if training:
            vector, kernel = self._divided(self.vector_u.value, self.kernel.value)
            self.vector_u.assign(vector.astype(self.vector_u.dtype))
            self.kernel.assign(kernel.astype(self.kernel.dtype))
        return self.layer(inputs).astype(inputs.dtype)

    def _divided(self, u: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The vector after the iterations and the divided kernel; both are unchanged if the kernel
        is zero."""
        zero = jnp.all(kernel == 0)
        rows = kernel.reshape(-1, kernel.shape[-1])
        new = u
        for _ in range(self.power_iterations):
            v = nn.normalize(matmul(new, rows.T), None)
            new = nn.normalize(matmul(v, rows), None)
        v, new = lax.stop_gradient((v, new))
        sigma = matmul(matmul(v, rows), new.T)[0, 0]
        return jnp.where(zero, u, new), kernel / jnp.where(zero, 1, sigma)
