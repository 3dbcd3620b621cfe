"""Connectionist temporal classification (Graves et al. 2006): the loss, and decoding."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from keraslike.core.operation import op
from keraslike.ops.cpu_argmax import argmax
from keraslike.ops.wrap import array, public


@op
def ctc_loss(
    target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0
) -> jax.Array:
    """Connectionist temporal classification: `-log(p)` of the labels of each sample, given a longer
    sequence of scores.

    Args:
        target: `(batch, labels)`, the numbers of the classes.
        output: `(batch, steps, classes)`, logits.
        target_length: `(batch,)`, the number of valid labels in each row.
        output_length: `(batch,)`, the number of valid steps in each row.
        mask_index: the class of the blank.

    Raises ValueError unless all have the same batch size.

    >>> logits = jnp.log(jnp.full((1, 2, 2), 0.5))
    >>> float(jnp.exp(-ctc_loss([[1]], logits, [1], [2])[0]))  # 0 1, 1 0 and 1 1
    0.75
    """
    labels, logits = array(target).astype("int32"), array(output)
    lengths = array(target_length), array(output_length)
    batch = logits.shape[:1]
    shapes = {"target": labels.shape, "target_length": lengths[0].shape}
    shapes["output_length"] = lengths[1].shape
    for name, shape in shapes.items():
        if shape[:1] != batch:
            raise ValueError(
                f"{name} and output must have the same first dimension. "
                f"Received: {name} of shape {shape}, output of shape {logits.shape}"
            )
    logits = logits.astype(jnp.promote_types(logits.dtype, "float32"))

    def padding(length: jax.Array, steps: Any) -> jax.Array:
        return (jnp.arange(steps) >= length.astype("int32")[:, None]).astype(logits.dtype)

    return optax.ctc_loss(
        *(logits, padding(lengths[1], logits.shape[1])),
        *(labels, padding(lengths[0], labels.shape[1])),
        blank_id=mask_index,
    )


@op
def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> tuple[jax.Array, jax.Array]:
    """The most probable labels for a sequence of scores.

    Args:
        inputs: `(batch, steps, classes)`, logits.
        sequence_lengths: `(batch,)`, the number of valid steps in each row.
        strategy: `"greedy"` takes the most probable class at each step; `"beam_search"` adds up all
            ways to read the same labels, of the `beam_width` likeliest so far.
        top_paths: the number of label sequences that a beam search returns, the most probable
            first.
        merge_repeated: whether the greedy strategy merges equal neighbouring labels.
        mask_index: the class of the blank, by default the last one.

    Returns the labels, int32 `(paths, batch, steps)` filled up with -1, and scores
    `(batch, paths)`: minus the sum of the logits taken if greedy, else log probabilities.

    >>> ctc_decode(jnp.eye(3)[jnp.array([[1, 1, 0, 2]])], [4])[0].tolist()
    [[[1, 2, -1, -1]]]
    """
    x = array(inputs)
    x = x.astype(jnp.promote_types(x.dtype, "float32"))
    lengths = array(sequence_lengths).astype("int32")
    blank = x.shape[-1] - 1 if mask_index is None else mask_index
    if strategy not in ("greedy", "beam_search"):
        raise ValueError(
            f"Invalid strategy {strategy}. Supported values are 'greedy' and 'beam_search'."
        )
    if strategy == "greedy":
        return _greedy(x, lengths, merge_repeated, blank)
    log_p = jax.nn.log_softmax(x)
    search = lambda row, length: _beam_search(row, length, beam_width, top_paths, blank)  # noqa: E731
    paths, scores = jax.vmap(search)(log_p, lengths)
    return jnp.swapaxes(paths, 0, 1), scores


def _greedy(
    x: jax.Array, lengths: jax.Array, merge_repeated: bool, blank: int
) -> tuple[jax.Array, jax.Array]:
    steps = jnp.arange(x.shape[1])
    counts = steps < lengths[:, None]
    labels = jnp.where(counts, argmax(x, -1), blank)
    scores = -jnp.sum(jnp.where(counts, jnp.max(x, -1), 0), 1, keepdims=True)
    kept = labels != blank
    if merge_repeated:
        kept &= jnp.pad(labels[:, 1:] != labels[:, :-1], ((0, 0), (1, 0)), constant_values=True)
    order = jnp.argsort(~kept, 1, stable=True)  # The kept labels move to the front.
    labels = jnp.take_along_axis(jnp.where(kept, labels, -1), order, 1)
    return labels[None].astype("int32"), scores


def _beam_search(
    log_p: jax.Array, length: jax.Array, width: int, top_paths: int, blank: int
) -> tuple[jax.Array, jax.Array]:
    """A beam search for one sample `(steps, classes)`: paths `(top_paths, steps)` and their log
    probabilities."""
    steps, classes = log_p.shape
    nothing = -jnp.inf
    places = jnp.arange(steps)
    is_label = jnp.arange(classes) != blank

    def step(beam: tuple, at: tuple) -> tuple:
        # The log probabilities of alignments that end in the blank, and in a label.
        paths, sizes, blanks, labels = beam
        p, counts = at
        last = jnp.where(sizes > 0, paths[jnp.arange(width), sizes - 1], -1)
        total = jnp.logaddexp(blanks, labels)
        # The path is unchanged: a blank, or its last label repeated.
        stay_blanks = total + p[blank]
        stay_labels = jnp.where(sizes > 0, labels + p[last], nothing)
        # The path is extended by a label; one that equals the last label must follow a blank.
        before = jnp.where(last[:, None] == jnp.arange(classes), blanks[:, None], total[:, None])
        more = jnp.where(is_label, before + p, nothing)
        # Paths that become equal to another path of the beam by this extension are merged with it.
        parents = jnp.where(places == sizes[:, None] - 1, -1, paths)
        is_parent = jnp.all(parents[:, None] == paths[None], -1) & (sizes[:, None] == sizes + 1)
        meets = is_parent & (total[None] > nothing) & (total[:, None] > nothing)
        gained = jnp.where(meets, more[:, last].T, nothing)
        stay_labels = jnp.logaddexp(stay_labels, jax.nn.logsumexp(gained, 1))
        taken = jnp.zeros((width, classes), bool).at[:, last].max(meets.T)
        more = jnp.where(taken, nothing, more)

        stay = jnp.logaddexp(stay_blanks, stay_labels)
        _, best = jax.lax.top_k(jnp.concatenate([stay, more.ravel()]), width)
        grown = best >= width
        origin = jnp.where(grown, (best - width) // classes, best)
        label = jnp.where(grown, (best - width) % classes, -1)
        new = paths[origin]
        new = jnp.where(grown[:, None] & (places == sizes[origin][:, None]), label[:, None], new)
        after = (
            new,
            sizes[origin] + grown,
            jnp.where(grown, nothing, stay_blanks[origin]),
            jnp.where(grown, more[origin, label], stay_labels[origin]),
        )
        return jax.tree.map(lambda a, b: jnp.where(counts, a, b), after, beam), None

    start = (
        jnp.full((width, steps), -1),
        jnp.zeros(width, "int32"),
        jnp.where(jnp.arange(width) == 0, 0.0, nothing).astype(log_p.dtype),
        jnp.full(width, nothing, log_p.dtype),
    )
    (paths, _, blanks, labels), _ = jax.lax.scan(step, start, (log_p, places < length))
    scores, best = jax.lax.top_k(jnp.logaddexp(blanks, labels), top_paths)
    return paths[best].astype("int32"), scores


__all__ = public(globals())
