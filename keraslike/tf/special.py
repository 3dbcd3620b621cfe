"""`tf.math.special`: special functions, each with a formula for its derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from keraslike.tf import documentation, table
from keraslike.tf.derivatives import differentiated
from keraslike.tf.operation import operation


def _by_scipy(name: str) -> Callable:
    """A function of scipy, called back from compiled programs: JAX has none of its accuracy."""

    def of_array(x: Any) -> Any:
        from scipy import special as on_host  # imported here, because its import is slow

        wide = np.float64 if x.dtype == np.float64 else np.float32
        return getattr(on_host, name)(np.asarray(x).astype(wide)).astype(x.dtype)

    def function(x: Any) -> Any:
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return jax.pure_callback(of_array, shape, x, vmap_method="expand_dims")

    return function


def _left(value: float, function: Callable) -> Callable:
    """A function that is constant for numbers up to 0, as in TensorFlow."""
    return lambda x: jnp.where(x <= 0, value, function(x))


def _expint(x: Any) -> Any:
    found = special.expi(jnp.where(x > 0, x, 1))
    return jnp.where((x > 0) & (x < jnp.inf), found, jnp.where(x == 0, -jnp.inf, jnp.nan))


def _spence_slope(x: Any) -> Any:
    other = jnp.where(x == 1, 2, x)
    return jnp.where(x == 1, -1, jnp.log(other) / (1 - other))


# Name: the function, and its derivative in terms of its value and argument.
_FUNCTIONS: dict[str, tuple[Callable, Callable]] = {
    "bessel_j0": (_by_scipy("j0"), lambda y, x: -_OF["bessel_j1"](x)),
    "bessel_j1": (
        _by_scipy("j1"),
        lambda y, x: jnp.where(x == 0, 0.5, _OF["bessel_j0"](x) - y / jnp.where(x == 0, 1, x)),
    ),
    "bessel_k0": (_left(jnp.inf, _by_scipy("k0")), lambda y, x: -_OF["bessel_k1"](x)),
    "bessel_k0e": (_left(jnp.inf, _by_scipy("k0e")), lambda y, x: y - _OF["bessel_k1e"](x)),
    "bessel_k1": (_left(jnp.inf, _by_scipy("k1")), lambda y, x: -_OF["bessel_k0"](x) - y / x),
    "bessel_k1e": (
        _left(jnp.inf, _by_scipy("k1e")),
        lambda y, x: y * (1 - 1 / x) - _OF["bessel_k0e"](x),
    ),
    "bessel_y0": (_left(-jnp.inf, _by_scipy("y0")), lambda y, x: -_OF["bessel_y1"](x)),
    "bessel_y1": (_left(-jnp.inf, _by_scipy("y1")), lambda y, x: _OF["bessel_y0"](x) - y / x),
    "dawsn": (_by_scipy("dawsn"), lambda y, x: 1 - 2 * x * y),
    "expint": (_expint, lambda y, x: jnp.exp(x) / x),
    "fresnel_cos": (
        lambda x: special.fresnel(x)[1],
        lambda y, x: jnp.cos(0.5 * np.pi * jnp.square(x)),
    ),
    "fresnel_sin": (
        lambda x: special.fresnel(x)[0],
        lambda y, x: jnp.sin(0.5 * np.pi * jnp.square(x)),
    ),
    "spence": (special.spence, lambda y, x: _spence_slope(x)),
}


def _with_slope(function: Callable, slope: Callable) -> Callable:
    @differentiated(lambda y, x, t: t * slope(y, x).astype(x.dtype))
    def of_array(x: Any) -> Any:
        return function(x)

    return of_array


_OF = {name: _with_slope(*entry) for name, entry in _FUNCTIONS.items()}
for _name, _function in _OF.items():
    globals()[_name] = operation(f"math.special.{_name}", "x")(
        table.checked(f"math.special.{_name}", _function, True)
    )
_OF_TABLE = ("bessel_i0", "bessel_i0e", "bessel_i1", "bessel_i1e")
globals().update({_name: getattr(table, _name) for _name in _OF_TABLE})
documentation.describe(globals(), "math.special")

__all__ = sorted([*_FUNCTIONS, *_OF_TABLE])
__dir__ = __all__.copy
