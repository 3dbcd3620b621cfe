"""`tf.strings`: what TensorFlow gives."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from keraslike import tf

InvalidArgumentError = tf.errors.InvalidArgumentError
ragged = tf.ragged.constant


def plain(x):
    return x.to_list() if isinstance(x, tf.RaggedTensor) else np.asarray(x).tolist()


@pytest.fixture
def words():
    return tf.constant(["Café", "Coffee", "caffè", "咖啡"])


# -- the chapter's cells ------------------------------------------------------------------------


def test_text_tensors_print_as_tensorflow(words):
    assert repr(tf.constant(b"hello world")) == (
        "<tf.Tensor: shape=(), dtype=string, numpy=b'hello world'>"
    )
    assert repr(tf.constant("café")) == (
        "<tf.Tensor: shape=(), dtype=string, numpy=b'caf\\xc3\\xa9'>"
    )
    assert repr(words) == (
        "<tf.Tensor: shape=(4,), dtype=string, numpy=\n"
        "array([b'Caf\\xc3\\xa9', b'Coffee', b'caff\\xc3\\xa8',\n"
        "       b'\\xe5\\x92\\x96\\xe5\\x95\\xa1'], dtype=object)>"
    )
    assert str(words) == (
        "tf.Tensor([b'Caf\\xc3\\xa9' b'Coffee' b'caff\\xc3\\xa8' "
        "b'\\xe5\\x92\\x96\\xe5\\x95\\xa1'], shape=(4,), dtype=string)"
    )


def test_the_chapters_unicode(words):
    u = tf.constant([ord(c) for c in "café"])
    b = tf.strings.unicode_encode(u, "UTF-8")
    assert repr(b) == "<tf.Tensor: shape=(), dtype=string, numpy=b'caf\\xc3\\xa9'>"
    assert repr(tf.strings.length(b, unit="UTF8_CHAR")) == (
        "<tf.Tensor: shape=(), dtype=int32, numpy=4>"
    )
    assert repr(tf.strings.unicode_decode(b, "UTF-8")) == (
        "<tf.Tensor: shape=(4,), dtype=int32, numpy=array([ 99,  97, 102, 233], dtype=int32)>"
    )
    assert plain(tf.strings.length(words, unit="UTF8_CHAR")) == [4, 6, 5, 2]
    r = tf.strings.unicode_decode(words, "UTF8")
    assert (
        repr(r)
        == str(r)
        == (
            "<tf.RaggedTensor [[67, 97, 102, 233], [67, 111, 102, 102, 101, 101],\n"
            " [99, 97, 102, 102, 232], [21654, 21857]]>"
        )
    )
    assert plain(tf.strings.unicode_encode(r, "UTF-8")) == plain(words)


# -- one text to one value ----------------------------------------------------------------------


def test_length_and_case():
    assert plain(tf.strings.length(["a", "bcd"])) == [1, 3]
    assert tf.strings.length(tf.constant([[]], tf.string)).shape == [1, 0]
    assert plain(tf.strings.lower("CAFÉ")) == "cafÉ".encode()
    assert plain(tf.strings.lower("CAFÉ", encoding="utf-8")) == "café".encode()
    assert plain(tf.strings.upper("café")) == "CAFé".encode()
    assert plain(tf.strings.upper("straße", encoding="utf-8")) == b"STRASSE"
    assert plain(tf.strings.lower(ragged([["A"], ["B", "C"]]))) == [[b"a"], [b"b", b"c"]]
    assert plain(tf.strings.strip(["  a b ", "\tc\n", "\u00a0a\x0b\x0c\r"])) == [
        b"a b",
        b"c",
        b"\xc2\xa0a",
    ]
    with pytest.raises(InvalidArgumentError, match="unit"):
        tf.strings.length("a", unit="X")
    with pytest.raises(InvalidArgumentError, match="encoding"):
        tf.strings.upper("a", encoding="x")
    with pytest.raises(TypeError, match="text"):
        tf.strings.lower(1)


@pytest.mark.parametrize(
    "text, pos, count, unit, expected",
    [
        ("hello", 1, 3, "BYTE", b"ell"),
        ("hello", -3, 2, "BYTE", b"ll"),
        ("hello", 1, 30, "BYTE", b"ello"),
        ("hello", 5, 3, "BYTE", b""),
        ("hello", 1, -1, "BYTE", b"ello"),
        (["hello", "world"], [1, 2], [2, 3], "BYTE", [b"el", b"rld"]),
        (["hello", "world"], 1, 2, "BYTE", [b"el", b"or"]),
        ("hello", [1, 2], [2, 3], "BYTE", [b"el", b"llo"]),
        ("café!", 3, 1, "UTF8_CHAR", b"\xc3\xa9"),
        ("café!", -2, 1, "UTF8_CHAR", b"\xc3\xa9"),
        ("café!", 3, 1, "BYTE", b"\xc3"),
    ],
)
def test_substr(text, pos, count, unit, expected):
    assert plain(tf.strings.substr(text, pos, count, unit=unit)) == expected


def test_substr_refuses():
    with pytest.raises(InvalidArgumentError, match="dtype"):
        tf.strings.substr("abc", 1.0, 2)
    for pos in (6, -6):
        with pytest.raises(InvalidArgumentError, match="out of range"):
            tf.strings.substr("hello", pos, 3)
    with pytest.raises(InvalidArgumentError, match="shape"):
        tf.strings.substr("hello", [1, 2], [2])


# -- patterns -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, pattern, new, expected",
    [
        ("hello world", "o", "0", b"hell0 w0rld"),
        ("hello world", r"(\w+) (\w+)", r"\2 \1", b"world hello"),
        ("hello world", r"(\w+) (\w+)", r"\0!", b"hello world!"),
        ("a.b", r"\.", r"\\", b"a\\b"),
        ("café", "é", "e", b"cafe"),
        ("café", ".", "x", b"xxxx"),
        ("ab", "", "-", b"-a-b-"),
        ("abxd", "x*", "-", b"-a-b-d-"),
        ("a\u0661", r"\d", "x", "a\u0661".encode()),
        ("a.b$c", "[[:punct:]]", "", b"abc"),
        ("a.b$c", "[$.]", "", b"abc"),
        ("a", "a", r"\1", b"a"),
        ("a\n", "$", "x", b"a\nx"),
        (b"a\xffb", "b", "c", b"a\xffc"),
    ],
)
def test_regex_replace(text, pattern, new, expected):
    assert plain(tf.strings.regex_replace(text, pattern, new)) == expected


@pytest.mark.parametrize(
    "pattern, expected",
    [
        (r"\p{Ll}", "_B3 _,ÀΩ中²"),
        (r"\pL", "__3 _,___²"),
        (r"[\p{Lu}\d]", "a__ é,__中²"),
        (r"\P{L}", "aB__é_ÀΩ中_"),
        (r"[^\p{L}]", "aB__é_ÀΩ中_"),
        (r"\p{^Lu}", "_B____ÀΩ__"),
        (r"\p{Any}", "_" * 10),
        (r"\p{Greek}", "aB3 é,À_中²"),
        (r"\P{Latin}", "aB__é_À___"),
        (r"[\p{Han}\p{^Common}]", "__3 _,___²"),
        (r"[[:^alpha:]]", "aB________"),
        (r"[[:punct:]]", "aB3 é_ÀΩ中²"),
    ],
)
def test_classes_of_characters(pattern, expected):
    assert plain(tf.strings.regex_replace("aB3 é,ÀΩ中²", pattern, "_")).decode() == expected


def test_regex():
    assert plain(tf.strings.regex_replace("oo", "o", "0", replace_global=False)) == b"0o"
    assert plain(tf.strings.regex_replace(ragged([["ab"], ["b"]]), "b", "c")) == [[b"ac"], [b"c"]]
    found = tf.strings.regex_full_match(["TF lib", "lib TF"], ".*lib$")
    assert plain(found) == [True, False] and found.dtype == tf.bool
    assert plain(tf.strings.regex_full_match("a\nb", "a.b")) is False
    for pattern in ("(", "(?=a)", r"(a)\1", r"\p{greek}", r"\p{Script=Greek}"):
        with pytest.raises(InvalidArgumentError, match="Invalid pattern"):
            tf.strings.regex_full_match("a", pattern)


def test_scripts_of_characters():
    points = [1, 0x3B1, 0x430, 0x4E00, 0x3042, 0x5D0, 0x627, 0x1F600, 0x10FFFF, -1, 0x110000, 97]
    numbers = [0, 14, 8, 17, 20, 19, 2, 0, 103, -1, -1, 25]
    found = tf.strings.unicode_script(points)
    assert plain(found) == numbers and found.dtype == tf.int32
    assert plain(tf.strings.unicode_script(ragged([[0xE9, 0xAC00], [0x300]]))) == [[25, 18], [1]]
    with pytest.raises(InvalidArgumentError, match="int64"):
        tf.strings.unicode_script(tf.constant([65], tf.int64))


# -- joining and splitting ----------------------------------------------------------------------


def test_join():
    assert plain(tf.strings.join(["a", "b"], separator=" ")) == b"a b"
    assert plain(tf.strings.join([["a", "b"], ["c", "d"]])) == [b"ac", b"bd"]
    assert plain(tf.strings.join([["a", "b"], "x"], "-")) == [b"a-x", b"b-x"]
    assert plain(tf.strings.join([])) == b""
    assert plain(tf.strings.join([ragged([["a"], ["b", "c"]]), "x"])) == [[b"ax"], [b"bx", b"cx"]]
    with pytest.raises(InvalidArgumentError, match="shape"):
        tf.strings.join([["a", "b"], ["x"]])


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, b"abcd"),
        ({"axis": 0}, [b"ac", b"bd"]),
        ({"axis": 1, "separator": " "}, [b"a b", b"c d"]),
        ({"axis": -1, "keepdims": True}, [[b"ab"], [b"cd"]]),
        ({"axis": [0, 1], "separator": "-"}, b"a-c-b-d"),
        ({"axis": [1, 0], "separator": "-"}, b"a-b-c-d"),
    ],
)
def test_reduce_join(settings, expected):
    assert plain(tf.strings.reduce_join([["a", "b"], ["c", "d"]], **settings)) == expected


def test_reduce_join_of_ragged():
    r = ragged([["a", "b"], ["c"]])
    assert plain(tf.strings.reduce_join(r, axis=1)) == [b"ab", b"c"]
    assert plain(tf.strings.reduce_join(r, axis=0)) == [b"ac", b"b"]
    with pytest.raises(tf.errors.OutOfRangeError, match="axis=2"):
        tf.strings.reduce_join([["a"]], axis=2)


@pytest.mark.parametrize(
    "text, settings, expected",
    [
        ("a b  c", {}, [b"a", b"b", b"c"]),
        (["hello world", "", "a  b c"], {}, [[b"hello", b"world"], [], [b"a", b"b", b"c"]]),
        ([["a b"], ["c"]], {}, [[[b"a", b"b"]], [[b"c"]]]),
        (["a,b,,c", ",", ""], {"sep": ","}, [[b"a", b"b", b"", b"c"], [b"", b""], [b""]]),
        ("a b c", {"maxsplit": 1}, [b"a", b"b c"]),
        (" a b c ", {"sep": ""}, [b"a", b"b", b"c"]),
        ("a<>b<>c", {"sep": "<>"}, [b"a", b"b", b"c"]),
    ],
)
def test_split(text, settings, expected):
    assert plain(tf.strings.split(text, **settings)) == expected


def test_split_keeps_shapes():
    assert tf.strings.split([["a b"], ["c"]]).shape == [2, 1, None]
    assert repr(tf.strings.split(tf.constant([], tf.string))) == "<tf.RaggedTensor []>"
    nested = tf.strings.split(ragged([["a b"], ["c", "d e"]]))
    assert plain(nested) == [[[b"a", b"b"]], [[b"c"], [b"d", b"e"]]]
    assert plain(tf.strings.bytes_split(["hé"])) == [[b"h", b"\xc3", b"\xa9"]]
    assert plain(tf.strings.bytes_split("ab")) == [b"a", b"b"]


@pytest.mark.parametrize(
    "data, width, settings, expected",
    [
        (["A", "B", "C", "D"], 2, {}, [b"A B", b"B C", b"C D"]),
        ([["A", "B"], ["D", "E"]], 2, {}, [[b"A B"], [b"D E"]]),
        (["A", "B"], 3, {}, []),
        (["A", "B"], 2, {"pad_values": ("<", ">")}, [b"< A", b"A B", b"B >"]),
        (["A", "B"], 3, {"preserve_short_sequences": True}, [b"A B"]),
        (["A", "B"], 3, {"pad_values": "p", "padding_width": 1}, [b"p A B", b"A B p"]),
        ([[["A", "B"]], [["C", "D"]]], 2, {}, [[[b"A B"]], [[b"C D"]]]),
        (ragged([[["A", "B"], ["C"]], []]), 2, {}, [[[b"A B"], []], []]),
        (
            ["A"],
            5,
            {"pad_values": "p", "padding_width": 1, "preserve_short_sequences": True},
            [b"p A p"],
        ),
    ],
)
def test_ngrams(data, width, settings, expected):
    assert plain(tf.strings.ngrams(data, width, **settings)) == expected


def test_ngrams_refuse():
    for error, settings in (
        (TypeError, {"pad_values": 5}),
        (ValueError, {"pad_values": "x", "padding_width": 0}),
        (ValueError, {"padding_width": 1}),
        (ValueError, {"ngram_width": [1, -1]}),
        (ValueError, {"data": "a"}),
    ):
        with pytest.raises(error):
            tf.strings.ngrams(**{"data": ["a", "b"], "ngram_width": 2} | settings)


def test_more_joins():
    for ids in ([0, -1], [0, 2]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="segment_ids"):
            tf.strings.unsorted_segment_join(["a", "b"], ids, 2)
    nothing = np.zeros((0,), object)
    assert plain(tf.strings.unsorted_segment_join(nothing, nothing.astype(int), 2)) == [b"", b""]
    assert plain(tf.strings.reduce_join(np.zeros((0, 3), object), 1)) == []
    grams = tf.strings.ngrams(ragged([["A", "B", "C"], ["D"]]), [1, 2])
    assert plain(grams) == [[b"A", b"B", b"C", b"A B", b"B C"], [b"D"]]
    rows = [["a", "b"], ["c", "d"]]
    assert plain(tf.strings.unsorted_segment_join(rows, [1, 1], 2, ":")) == [
        [b"", b""],
        [b"a:c", b"b:d"],
    ]
    assert plain(tf.strings.unsorted_segment_join(["a", "b", "c"], [1, 0, 1], 3, "-")) == [
        b"b",
        b"a-c",
        b"",
    ]


# -- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, dtype, expected",
    [
        (["3", "4e2", " 3 "], tf.float32, [3, 400, 3]),
        ("3", tf.int32, 3),
        ("-3", tf.int64, -3),
        ("0.1", tf.float64, 0.1),
        ("-inf", tf.float32, -np.inf),
        ("1e400", tf.float32, np.inf),
        ("0x10", tf.float32, 16),
        ("4294967295", tf.uint32, 2**32 - 1),
    ],
)
def test_to_number(text, dtype, expected):
    found = tf.strings.to_number(text, dtype)
    assert found.dtype == dtype and plain(found) == expected


@pytest.mark.parametrize(
    "text, dtype",
    [
        ("x", tf.float32),
        ("", tf.float32),
        ("1_000", tf.float32),
        ("3.5", tf.int32),
        ("0x10", tf.int32),
        ("3000000000", tf.int32),
        ("-3", tf.uint32),
        ("3", tf.uint8),
        ("3", tf.string),
    ],
)
def test_to_number_refuses(text, dtype):
    with pytest.raises(InvalidArgumentError):
        tf.strings.to_number(text, dtype)


@pytest.mark.parametrize(
    "numbers, settings, expected",
    [
        ([1, 2], {}, [b"1", b"2"]),
        ([1.5, 1e10, float("nan")], {}, [b"1.500000", b"10000000000.000000", b"nan"]),
        ([3.1415926], {"precision": 2}, [b"3.14"]),
        ([3.1415926], {"precision": 2, "scientific": True}, [b"3.14e+00"]),
        ([3.1415926, 1e10], {"shortest": True}, [b"3.14159", b"1e+10"]),
        ([1, 22], {"width": 5}, [b"    1", b"   22"]),
        ([1, 22], {"width": 5, "fill": "0"}, [b"00001", b"00022"]),
        ([1, 22], {"width": 5, "fill": "-"}, [b"1    ", b"22   "]),
        ([1, 22], {"fill": "0"}, [b"1", b"22"]),
        ([1, -22], {"fill": "+"}, [b"+1", b"-22"]),
        ([1.5, -2.0], {"width": 8, "precision": 1, "fill": "0"}, [b"000001.5", b"-00002.0"]),
        ([True, False], {"width": 6}, [b"true", b"false"]),
        (1 + 2j, {"precision": 1}, b"(1.0,2.0)"),
        (["ab"], {"width": 5}, [b"   ab"]),
        (np.uint8([200]), {}, [b"200"]),
    ],
)
def test_as_string(numbers, settings, expected):
    assert plain(tf.strings.as_string(numbers, **settings)) == expected


def test_as_string_of_ragged_and_refusals():
    assert plain(tf.strings.as_string(ragged([[1], [2, 3]]))) == [[b"1"], [b"2", b"3"]]
    for numbers, settings in [
        ([1], {"precision": 2}),
        ([1], {"scientific": True}),
        ([1.5], {"scientific": True, "shortest": True}),
        ([1], {"width": 5, "fill": "xx"}),
        ([1], {"width": 5, "fill": "x"}),
    ]:
        with pytest.raises(InvalidArgumentError):
            tf.strings.as_string(numbers, **settings)


@pytest.mark.parametrize(
    "template, inputs, settings, expected",
    [
        ("tensor: {}", np.arange(3), {}, b"tensor: [0 1 2]"),
        ("{} {}", (1, [1.5, 2.0]), {}, b"1 [1.5 2]"),
        ("{}", (np.arange(10),), {}, b"[0 1 2 ... 7 8 9]"),
        ("{}", (np.arange(10),), {"summarize": -1}, b"[0 1 2 3 4 5 6 7 8 9]"),
        ("{}", (np.arange(7),), {"summarize": 2}, b"[0 1 ... 5 6]"),
        ("{}", (["a", "b"],), {}, b'["a" "b"]'),
        ("{}", ("é",), {}, '"é"'.encode()),
        ("{}", ([[1, 2], [3, 4]],), {}, b"[[1 2]\n [3 4]]"),
        (
            "{}",
            (np.arange(8).reshape(2, 2, 2),),
            {},
            b"[[[0 1]\n  [2 3]]\n\n [[4 5]\n  [6 7]]]",
        ),
        (
            "{}",
            ([1.0, 0.1, 1e10, 1e-5, 123456.7],),
            {"summarize": 9},
            b"[1 0.1 1e+10 1e-05 123456.703]",
        ),
        ("{}", (np.float64(1 / 3),), {}, b"0.33333333333333331"),
        ("$", (True,), {"placeholder": "$"}, b"1"),
    ],
)
def test_format(template, inputs, settings, expected):
    given = tuple(map(tf.constant, inputs)) if isinstance(inputs, tuple) else tf.constant(inputs)
    assert plain(tf.strings.format(template, given, **settings)) == expected


def test_format_counts():
    with pytest.raises(ValueError, match="2 placeholders, but 1"):
        tf.strings.format("{} {}", (tf.constant(1),))


# -- unicode ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, encoding, settings, expected",
    [
        (b"a\xff", "UTF-8", {}, [97, 65533]),
        (b"a\xffb", "UTF-8", {"errors": "ignore"}, [97, 98]),
        (b"a\xe2\x82b", "UTF-8", {}, [97, 65533, 98]),
        (b"a\xff", "UTF-8", {"replacement_char": 63}, [97, 63]),
        ("a\x01b", "UTF-8", {"replace_control_characters": True}, [97, 65533, 98]),
        ("añ", "latin1", {}, [97, 195, 177]),
        ("añ", "US-ASCII", {}, [97, 65533, 65533]),
        (b"\x00C\xd8=\xde\x00", "UTF-16-BE", {}, [67, 0x1F600]),
    ],
)
def test_decode(text, encoding, settings, expected):
    found = tf.strings.unicode_decode([text], encoding, **settings)
    assert plain(found) == [expected] and found.dtype == tf.int32


def test_decode_shapes_and_offsets(words):
    nested = tf.strings.unicode_decode([["a", "bc"], ["", "d"]], "UTF-8")
    assert plain(nested) == [[[97], [98, 99]], [[], [100]]] and nested.shape == [2, 2, None]
    deep = tf.strings.unicode_decode(ragged([["a", "bc"], ["d"]]), "UTF-8")
    assert plain(deep) == [[[97], [98, 99]], [[100]]]
    _, offsets = tf.strings.unicode_decode_with_offsets(words, "UTF-8")
    assert plain(offsets)[-1] == [0, 3] and offsets.dtype == tf.int64
    for encoding, settings in [("UTF-8", {"errors": "strict"}), ("bogus", {}), ("hex", {})]:
        with pytest.raises(InvalidArgumentError):
            tf.strings.unicode_decode([b"a\xff"], encoding, **settings)


def test_unicode_split(words):
    assert plain(tf.strings.unicode_split("né", "UTF-8")) == [b"n", b"\xc3\xa9"]
    characters, offsets = tf.strings.unicode_split_with_offsets(words, "UTF-8")
    assert plain(characters)[-1] == [b"\xe5\x92\x96", b"\xe5\x95\xa1"]
    assert plain(offsets)[-1] == [0, 3]
    assert plain(tf.strings.unicode_split(b"ca\xff", "UTF-16-BE")) == [b"ca", b"\xff\xfd"]


def test_encode(words):
    encode = tf.strings.unicode_encode
    points = tf.strings.unicode_decode(words, "UTF-8")
    assert plain(encode(points, "UTF-16-BE"))[-1] == b"T\x96Ua"
    assert plain(encode(points, "UTF-32-BE"))[-1] == b"\x00\x00T\x96\x00\x00Ua"
    assert plain(encode([[99, 97], [98, 100]], "UTF-8")) == [b"ca", b"bd"]
    assert plain(encode(ragged([[[99], [97]], [[98]]]), "UTF-8")) == [[b"c", b"a"], [b"b"]]
    assert plain(encode([0x110000, 97], "UTF-8")) == b"\xef\xbf\xbda"
    assert plain(encode([0xD800, 97], "UTF-8", errors="ignore")) == b"a"
    with pytest.raises(InvalidArgumentError, match="code point"):
        encode([0x110000], "UTF-8", errors="strict")
    with pytest.raises(InvalidArgumentError, match="output_encoding"):
        encode([99], "X")
    with pytest.raises(InvalidArgumentError, match="errors"):
        encode([99], "UTF-8", errors="X")
    with pytest.raises(ValueError, match="at least one axis"):
        encode(99, "UTF-8")


@pytest.mark.parametrize(
    "text, source, target, settings, expected",
    [
        (b"a\xe9b", "latin1", "UTF-8", {}, b"a\xc3\xa9b"),
        (b"a\xffb", "UTF-8", "UTF-8", {}, b"a\xef\xbf\xbdb"),
        (b"a\xffb", "UTF-8", "UTF-8", {"errors": "ignore"}, b"ab"),
        ("a\x00b", "UTF-8", "UTF-16-BE", {}, b"\x00a\x00\x00\x00b"),
        ("é咖", "UTF-8", "UTF-8", {"replacement_char": 63}, "é咖".encode()),
        (b"\x00a\x20\xac", "UTF-16", "UTF-8", {}, "a€".encode()),
        (b"\xff\xfea\x00", "UTF-16", "UTF-8", {}, b"a"),
        (
            b"\x00\xff\n\x7f",
            "UTF-8",
            "UTF-8",
            {"replace_control_characters": True, "errors": "ignore"},
            b"\x7f",
        ),
    ],
)
def test_transcode(text, source, target, settings, expected):
    assert plain(tf.strings.unicode_transcode(text, source, target, **settings)) == expected


def test_transcode_refuses():
    with pytest.raises(InvalidArgumentError, match="not valid"):
        tf.strings.unicode_transcode(b"a\xff", "UTF-8", "UTF-8", errors="strict")
    with pytest.raises(InvalidArgumentError, match="output_encoding"):
        tf.strings.unicode_transcode("a", "UTF-8", "latin1")
    with pytest.raises(InvalidArgumentError, match="replacement_char"):
        tf.strings.unicode_decode("a", "UTF-8", replacement_char=11141111)


# -- hashing ------------------------------------------------------------------------------------

_TEXTS = [
    "Hello",
    "TensorFlow",
    "2.x",
    "a",
    "",
    "abcdefgh",
    "x" * 20,
    "y" * 40,
    "z" * 70,
    "z" * 200,
]
_EXACT = _TEXTS[:7] + ["y" * 41]


def test_hash_buckets():
    assert plain(tf.strings.to_hash_bucket(_TEXTS[:3], 3)) == [2, 0, 1]
    assert plain(tf.strings.to_hash_bucket_fast(_TEXTS[:3], 3)) == [0, 2, 2]
    assert plain(tf.strings.to_hash_bucket_strong(["Hello", "TF"], 3, [1, 2])) == [2, 0]
    assert plain(tf.strings.to_hash_bucket_fast(_TEXTS, 2**60)) == [
        416719434668515463,
        806889616027845326,
        943390013796179357,
        235667560134047203,
        784024612572774479,
        1074621062069102857,
        162637696499928516,
        276292113409495006,
        1037987716327777979,
        658439676181095260,
    ]
    assert plain(tf.strings.to_hash_bucket(_TEXTS[:5], 2**60)) == [
        649981808132961253,
        1060436950517699592,
        106544778936929492,
        690789896157841916,
        105434511174508091,
    ]
    with pytest.raises(InvalidArgumentError, match="num_buckets"):
        tf.strings.to_hash_bucket(["a"], 0)
    with pytest.raises(ValueError, match="key"):
        tf.strings.to_hash_bucket_strong(["a"], 1, [1])


# -- the tensors themselves ---------------------------------------------------------------------


def test_text_adds_compares_and_picks(words):
    assert plain(tf.constant("a") + "b") == b"ab"
    assert plain(tf.constant(["a", "b"]) == ["a", "c"]) == [True, False]
    assert plain(words[1]) == b"Coffee" and words[1].dtype == tf.string
    assert plain(tf.constant("a\0")) == b"a\0"
    for twin in (pickle.loads(pickle.dumps(words)), copy.deepcopy(words)):
        assert repr(twin) == repr(words)


def test_text_of_traced_numbers_is_refused():
    for function in (
        tf.strings.as_string,
        lambda x: tf.strings.format("{}", x),
        lambda x: tf.strings.substr("abc", x, 1),
        lambda x: tf.strings.unicode_encode(jnp.reshape(x, (1,)), "UTF-8"),
    ):
        with pytest.raises(TypeError, match="traced"):
            jax.jit(function)(1)


def test_text_that_has_values_while_something_is_traced():
    assert jax.jit(lambda x: x * tf.strings.length("abc")._value)(2) == 6


def test_public_names():
    assert dir(tf.strings) == sorted(tf.strings.__all__)
    assert all(hasattr(tf.strings, name) for name in tf.strings.__all__)
