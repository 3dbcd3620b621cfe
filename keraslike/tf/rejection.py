"""The gamma and Poisson numbers that TensorFlow draws for a counter and a key, by rejection.

Each number has its own range of the counter (`philox.GAP` values) for its attempts. All numbers are
therefore drawn in parallel, with one attempt at a time for each that has not been accepted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from keraslike.tf import philox
from keraslike.tf.drawing import check_count
from keraslike.tf.tensor import WIDE, _on_device


def _pair(state: Any, at: Any) -> tuple[Any, Any]:
    """The two numbers in [0, 1) from each value of the counter, in TensorFlow's order: the second
    one first."""
    drawn = philox.doubles(philox.words_at(state, at)).reshape(-1, 2)
    return drawn[:, 1], drawn[:, 0]


def _normal_pair(state: Any, at: Any) -> tuple[Any, Any]:
    late, early = _pair(state, at)
    made = philox.normal_pairs(early, late, np.float64)
    return made[:, 1], made[:, 0]


def _tried(attempt: Callable, first: dict[str, Any]) -> Any:
    """Repeats attempts until every number has been accepted, and returns the numbers."""
    if philox.library_of(first["open"]) is not np:
        return jax.lax.while_loop(lambda s: s["open"].any(), attempt, first)["out"]
    state = first
    while state["open"].any():
        state = attempt(state)
    return state["out"]


def _computed(draw: Callable, state: Any, parameters: Any, each: int, *rest: Any) -> Any:
    """The numbers, `each` for each parameter, along a new leading axis."""
    check_count((each, *parameters.shape))
    with WIDE(True), np.errstate(all="ignore"):
        state = philox.on_host(state, each * parameters.size)
        if isinstance(parameters, jax.core.Tracer):
            state = jax.numpy.asarray(state)
        if philox.library_of(state) is np:
            found = _on_device(draw(state, np.ravel(parameters), each, *rest))
        else:
            found = _compiled(draw, each, *rest)(state, parameters.reshape(-1))
        return found.T.reshape(each, *parameters.shape)


@functools.lru_cache(maxsize=256)
def _compiled(draw: Callable, each: int, *rest: Any) -> Callable:
    return jax.jit(lambda state, parameters: draw(state, parameters, each, *rest))


def _gammas(state: Any, alpha: Any, each: int) -> Any:
    """Marsaglia and Tsang, 2000."""
    xp = philox.library_of(state)
    shape = xp.repeat(alpha.astype(np.float64), each)
    starts = xp.arange(shape.size, dtype=np.uint64) * np.uint64(philox.GAP)
    less = shape < 1
    d = shape + xp.where(less, 2.0 / 3, -1.0 / 3)
    c = 1.0 / 3 / xp.sqrt(d)
    none = xp.zeros_like(shape)
    # One normal and one uniform number may be left over from the last pair.
    first = {
        "open": shape != 1, "at": xp.zeros_like(starts), "out": none,
        "normal": none, "normals": less & False, "unit": none, "units": less & False,
    }  # fmt: skip

    def taken(s: dict[str, Any], wanted: Any, name: str, pair: Callable) -> Any:
        """A number where one is requested: the one left over, or one from a new pair."""
        late, early = pair(state, starts + s["at"])
        kept, anew = wanted & s[f"{name}s"], wanted & ~s[f"{name}s"]
        number = xp.where(kept, s[name], late)
        s[name] = xp.where(anew, early, s[name])
        s["at"], s[f"{name}s"] = s["at"] + anew.astype(np.uint64), (s[f"{name}s"] & ~kept) | anew
        return number

    def attempt(s: dict[str, Any]) -> dict[str, Any]:
        s = dict(s)
        x = taken(s, s["open"], "normal", _normal_pair)
        v = 1 + c * x
        positive = s["open"] & (v > 0)
        v = v * v * v
        u = taken(s, positive, "unit", _pair)
        inside = u < 1 - 0.0331 * (x * x) * (x * x)
        inside |= xp.log(u) < 0.5 * x * x + d * (1 - v + xp.log(v))
        done = positive & inside
        b = taken(s, done & less, "unit", _pair)
        found = d * v * xp.where(less, b ** (1 / shape), 1)
        return s | {"out": xp.where(done, found, s["out"]), "open": s["open"] & ~done}

    drawn = _tried(attempt, first)
    drawn = xp.where(shape == 1, -xp.log1p(-_pair(state, starts)[0]), drawn)
    return drawn.reshape(-1, each).astype(alpha.dtype)


def gammas(state: Any, alpha: Any, each: int) -> Any:
    """`each` numbers of the gamma distribution for each alpha, along a new leading axis."""
    with WIDE(True):
        return _differentiable(state, alpha, each)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _differentiable(state: Any, alpha: Any, each: int) -> Any:
    return _computed(_gammas, state, alpha, each)


@_differentiable.defjvp
def _derivative(each: int, primals: Any, tangents: Any) -> tuple[Any, Any]:
    (state, alpha), (_, along) = primals, tangents
    out = _differentiable(state, alpha, each)
    shapes = jax.numpy.broadcast_to(alpha, out.shape)
    slope = jax.lax.random_gamma_grad(shapes, out)  # type: ignore[call-arg]
    return out, slope * along


def _gammaln_on_host() -> Callable:
    from scipy.special import gammaln  # imported here, because its import is slow

    return gammaln


def _poissons(state: Any, rates: Any, each: int, dtype: Any) -> Any:
    xp = philox.library_of(state)
    gammaln = _gammaln_on_host() if xp is np else jax.scipy.special.gammaln
    rate = xp.repeat(rates.astype(np.float64), each)
    starts = xp.arange(rate.size, dtype=np.uint64) * np.uint64(philox.GAP)
    info = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(dtype)
    large, end = rate >= 10, xp.exp(-rate)
    b = 0.931 + 2.53 * xp.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse = 1.1239 + 1.1328 / (b - 3.4)

    def proposed(u: Any, v: Any) -> tuple[Any, Any]:
        """A number for a rate of at least 10, and whether it is accepted."""
        u = u - 0.5
        left = 0.5 - xp.abs(u)
        k = xp.floor((2 * a / left + b) * u + rate + 0.43)
        early = (left >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))
        out = (k < 0) | ((left < 0.013) & (v > left))
        s = xp.log(v * inverse / (a / (left * left) + b))
        late = ~out & (s <= -rate + k * xp.log(rate) - gammaln(k + 1))
        return k, (k <= float(info.max)) & (early | late)

    def attempt(s: dict[str, Any]) -> dict[str, Any]:
        u, v = _pair(state, starts + s["at"])
        k, accepted = proposed(u, v)
        one = s["product"] * u
        product = one * v
        number = xp.where(large, k, xp.where(one <= end, s["number"], s["number"] + 1))
        done = s["open"] & xp.where(large, accepted, product <= end)
        return {
            "at": s["at"] + np.uint64(1), "open": s["open"] & ~done, "product": product,
            "number": s["number"] + 2, "out": xp.where(done, number, s["out"]),
        }  # fmt: skip

    none = xp.zeros_like(rate)
    first = {
        "at": xp.zeros_like(starts), "open": none == 0, "product": none + 1, "number": none,
        "out": none,
    }  # fmt: skip
    return _tried(attempt, first).reshape(-1, each).astype(dtype)


def poissons(state: Any, rates: Any, each: int, dtype: Any) -> Any:
    """`each` numbers of the Poisson distribution for each rate, along a new leading axis: products
    for rates below 10 (Knuth), else Hörmann's transformed rejection (1993)."""
    return _computed(_poissons, state, rates, each, np.dtype(dtype))
