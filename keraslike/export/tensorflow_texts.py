"""Functions of text as operations of TensorFlow, for SavedModels.

The layers that look up text describe what they compute as plain values (`DataLayer._described`).
Functions of `tf.strings` are called by their names. `function_of` runs in a process that has
TensorFlow, where keraslike and JAX may be missing.
"""

from typing import Any

_PUNCTUATION = r"[!-/:-@\[-`{-~]"


def function_of(tf: Any, about: dict) -> tuple[Any, list]:
    """The function from a tensor of texts to a tensor of numbers, and the tables that it uses."""
    tables: list = []
    indices = tf.identity
    if "table" in about:
        indices = _looked_up(tf, about["table"], tables)
    elif "hash" in about:
        indices = _hashed(tf, about["hash"])
    words = about.get("words")

    def run(texts: Any) -> Any:
        for name, args, kwargs in about["steps"]:
            texts = getattr(tf.strings, name)(texts, *args, **dict(kwargs))
        texts = tf.reshape(texts, [-1, *about["shape"]])
        numbers = indices(texts) if words is None else _of_words(tf, words, texts, indices, about)
        return tf.cast(_encoded(tf, numbers, about), about["dtype"])

    return run, tables


def text_of(tf: Any, about: dict, numbers: Any, texts: Any) -> Any:
    """The texts that an output of a program stands for.

    Args:
        about: the description: see `made` in `core/text.py`.
        texts: the arguments that are text.
    """
    if "argument" in about:
        found = texts[about["argument"]]
    elif about["words"] is None:
        found = numbers
    else:
        words = [word.encode("latin-1") for word in about["words"]]
        found = tf.gather(tf.constant(words, tf.string), numbers)
    for name, args, kwargs in about["steps"]:
        found = getattr(tf.strings, name)(found, *args, **dict(kwargs))
    return found


def _of_words(tf: Any, words: dict, texts: Any, indices: Any, about: dict) -> Any:
    """The indices of the words of texts, padded to one length."""
    if words["lower"]:
        texts = tf.strings.lower(texts)
    if words["strip"]:
        texts = tf.strings.regex_replace(texts, _PUNCTUATION, "")
    split, lead = words["split"], tf.shape(texts)
    if split is None:
        lead = lead[:-1]
        rows = tf.RaggedTensor.from_tensor(tf.reshape(texts, [-1, tf.shape(texts)[-1]]))
    else:
        lead = lead[:-1] if texts.shape.rank > 1 else lead
        texts = tf.reshape(texts, [-1])
        by_words = split == "whitespace"
        rows = tf.strings.split(texts) if by_words else tf.strings.unicode_split(texts, "UTF-8")
    if words["ngrams"] is not None:
        rows = tf.strings.ngrams(rows, words["ngrams"])
    padding = 0 if about["mode"] == "int" else -1
    numbers = rows.with_values(indices(rows.values))
    numbers = numbers.to_tensor(padding, shape=[None, words["length"]])
    numbers = tf.reshape(numbers, tf.concat([lead, tf.shape(numbers)[1:]], 0))
    return numbers[..., None] if about["mode"] == "one_hot" else numbers


def _looked_up(tf: Any, about: dict, tables: list) -> Any:
    """The indices of words in a vocabulary."""
    words = tf.constant([word.encode("latin-1") for word in about["words"]], tf.string)
    pairs = tf.lookup.KeyValueTensorInitializer(words, tf.constant(about["indices"], tf.int64))
    table = tf.lookup.StaticHashTable(pairs, about["default"])
    tables.append(table)
    unknown, count = about["unknown"], about["unknown"]["count"]
    buckets = None if count in (0, 1) else _hashed(tf, unknown)

    def indices(words: Any) -> Any:
        found = table.lookup(words)
        if count == 1:
            return found
        missing = found == about["default"]
        if buckets is not None:
            return tf.where(missing, buckets(words), found)
        message = "With num_oov_indices=0 all tokens must be in the vocabulary."
        with tf.control_dependencies([tf.debugging.Assert(~tf.reduce_any(missing), [message])]):
            return tf.identity(found)

    return indices


def _hashed(tf: Any, about: dict) -> Any:
    """The buckets of texts, from `first` on; that of `mask` is 0."""

    def buckets(texts: Any) -> Any:
        if about["salt"] is None:
            found = tf.strings.to_hash_bucket_fast(texts, about["count"])
        else:
            found = tf.strings.to_hash_bucket_strong(texts, about["count"], about["salt"])
        found += about["first"]
        if about.get("mask") is None:
            return found
        return tf.where(texts == about["mask"].encode("latin-1"), tf.zeros_like(found), found)

    return buckets


def _encoded(tf: Any, numbers: Any, about: dict) -> Any:
    """Indices as they are, or as arrays of zeros and ones or of counts."""
    mode, depth, rank = about.get("mode", "int"), about.get("depth"), numbers.shape.rank
    if mode == "int":
        return numbers
    if mode == "one_hot":
        numbers = numbers[..., 0] if rank > 1 and numbers.shape[-1] == 1 else numbers
        return tf.one_hot(numbers, depth)
    if rank > 2:
        numbers = tf.transpose(numbers, [0, *range(2, rank), 1])
    rows = tf.reshape(numbers, [-1, tf.shape(numbers)[-1]])
    rows = tf.where(rows < 0, tf.cast(depth, rows.dtype), rows)
    counts = tf.math.bincount(
        rows, minlength=depth, maxlength=depth, binary_output=mode == "multi_hot", axis=-1
    )
    counts = tf.reshape(counts, tf.concat([tf.shape(numbers)[:-1], [depth]], 0))
    if about.get("weights") is None:
        return counts
    return tf.cast(counts, tf.float32) * tf.constant(about["weights"], tf.float32)
