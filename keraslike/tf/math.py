"""`tf.math`: functions of numbers."""

from keraslike.tf import table
from keraslike.tf.nn import in_top_k, log_softmax, softmax
from keraslike.tf.ops import (
    add_n,
    argmax,
    argmin,
    bincount,
    count_nonzero,
    cumprod,
    cumsum,
    reduce_euclidean_norm,
    segment_max,
    segment_mean,
    segment_min,
    segment_prod,
    segment_sum,
    top_k,
    unsorted_segment_max,
    unsorted_segment_mean,
    unsorted_segment_min,
    unsorted_segment_prod,
    unsorted_segment_sum,
)

globals().update({_name: getattr(table, _name) for _name in table.__all__})

__all__ = [
    *table.__all__,
    "add_n",
    "argmax",
    "argmin",
    "bincount",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "in_top_k",
    "log_softmax",
    "reduce_euclidean_norm",
    "segment_max",
    "segment_mean",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "softmax",
    "top_k",
    "unsorted_segment_max",
    "unsorted_segment_mean",
    "unsorted_segment_min",
    "unsorted_segment_prod",
    "unsorted_segment_sum",
]


def __dir__() -> list[str]:
    return list(__all__)
