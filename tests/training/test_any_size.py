"""Programs for several sizes: what is padded is never read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras
from keraslike import layers, ops
from keraslike.training import any_size


def rows(*shape, low=-1.0):
    return np.random.default_rng(0).uniform(low, 1, shape).astype("float32")


def padded(function, size, *arrays):
    """The results by arrays that are padded with values that would be noticed."""
    axes = [tuple(i for i, n in enumerate(a.shape) if n == size) for a in arrays]
    most = any_size.padded_size(size)
    given = []
    for a, of in zip(arrays, axes):
        out = any_size.pad(a, of, most)
        beyond = np.ones_like(out, bool)
        beyond[tuple(slice(n) for n in a.shape)] = False
        out[beyond] = np.nan if a.dtype.kind == "f" else 99
        given.append(out)
    found = []

    def run(given, count):
        out, cuts = any_size.run_padded(lambda *a: [function(*a)], given, axes, count)
        found[:] = cuts
        return out

    (out,) = jax.jit(run)(given, np.int32(size))
    return any_size.cut(out, found[0], size)


SIZE = 5
ATTENTION = layers.MultiHeadAttention(2, 4)
MASKED = layers.Embedding(9, 4, mask_zero=True)
AVERAGE = layers.GlobalAveragePooling1D()
NORM = layers.LayerNormalization()
TIMES = layers.Dense(3, activation="gelu")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jax.nn.softmax(x, axis=1),
        lambda x: jnp.mean(x, axis=1) + jnp.var(x, axis=(0, 1)),
        lambda x: jnp.max(x, axis=1) - jnp.min(x, axis=1) + jnp.prod(x, axis=1),
        lambda x: jnp.argmax(x, axis=1) + jnp.argmin(x, axis=1),
        lambda x: jnp.all(x > 0, axis=1) | jnp.any(x > 0.9, axis=1),
        lambda x: jnp.cumsum(x, axis=1) / (1 + jnp.arange(x.shape[1])[:, None]),
        lambda x: jnp.einsum("bnc,bnd->bcd", x, x) @ jnp.ones((3, 2)),
        lambda x: (x.reshape(-1, 3) @ jnp.ones((3, 6))).reshape(2, -1, 2, 3).sum((1, 2)),
        lambda x: (x.reshape(-1, 3) - x.reshape(-1, 3).max(0)).sum(0),
        lambda x: jnp.concatenate([x, x], -1).transpose(1, 0, 2),
        lambda x: ATTENTION(x, x, use_causal_mask=True),
        lambda x: ATTENTION(NORM(x), TIMES(x), attention_mask=x[:, :, :1] > 0),
        lambda x: AVERAGE(MASKED(ops.cast(x[..., 0] > 0, "int32"))),
        lambda x: x[:, -1] + x[:, :, 1:2].sum(1) + jax.lax.slice_in_dim(x, 0, 1, axis=0)[0, 0, 0],
        lambda x: jax.lax.dynamic_slice_in_dim(x, 9, 1, axis=1),
        lambda x: ops.one_hot(jnp.argmax(x, -1), 3) * x.shape[1],
    ],
)
def test_padding_is_never_read(function):
    x = rows(2, SIZE, 3)
    want = function(x)
    np.testing.assert_allclose(padded(function, SIZE, x), want, rtol=1e-5, atol=1e-6)


def test_a_padded_batch():
    def function(x):
        flat = x.reshape(-1, 3)
        return flat.argmax(0) + flat.cumsum(0).sum(0) + TIMES(flat).mean(0).sum()

    x = rows(7, 4, 3)
    np.testing.assert_allclose(padded(function, 7, x), function(x), rtol=1e-5)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.sort(x, 1),
        lambda x: x[:, ::-1],
        lambda x: x[:, 1:],
        lambda x: jnp.cumsum(x, 1, dtype="float32")[:, :2],
        lambda x: jnp.concatenate([x, x], 1),
        lambda x: x.transpose(1, 0, 2).reshape(-1, 3),
        lambda x: x if x.shape[1] < 100 else 2 * x,
        lambda x: jax.lax.cumsum(x, 1, reverse=True),
    ],
)
def test_other_functions_are_refused(function):
    with pytest.raises(any_size.Unsupported):
        padded(function, SIZE, rows(2, SIZE, 3))


def test_calls_of_growing_text_share_programs(monkeypatch):
    calls = []
    run = any_size.run_padded
    monkeypatch.setattr(any_size, "run_padded", lambda *a: calls.append(a[2]) or run(*a))
    x = i = keras.Input((None,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(x)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True))
    model = keras.Model(i, [x, layers.GlobalAveragePooling1D()(x)])
    plain = jax.jit(lambda ids: model(ids))
    ids = np.arange(40).reshape(2, 20).astype("int32") % 9
    for size in (3, 4, 5, 6, 9, 20):
        for mine, want in zip(model(ids[:, :size]), plain(ids[:, :size])):
            assert type(mine) is type(want) and mine.dtype == want.dtype
            np.testing.assert_allclose(mine, want, rtol=1e-5, atol=1e-6)
    assert calls.count([(1,)]) + calls.count(((1,),)) <= 2
    calls.clear()
    for batch in (ids[:, :3], ids[:, :4], ids[:, :5], ids[:, :6], ids[:, :7]):
        for mine, want in zip(model.predict(batch, verbose=0), plain(batch)):
            np.testing.assert_allclose(mine, want, rtol=1e-5, atol=1e-6)
    assert len(calls) <= 1
    two = keras.layers.Dense(3)
    two.build((None, 4))
    for rows_, columns in ((2, 3), (2, 4), (2, 5), (6, 7), (6, 8), (6, 9)):
        x = rows(rows_, columns, 4)
        np.testing.assert_allclose(two(x), x @ np.asarray(two.kernel), rtol=1e-5, atol=1e-6)
    assert len(calls) <= 3  # for (2, 5) and (6, 9)
    model.layers[1].set_weights([np.zeros((9, 4))])  # the values are those of now
    np.testing.assert_allclose(model(ids[:, :8])[1], plain(ids[:, :8])[1], atol=1e-6)
