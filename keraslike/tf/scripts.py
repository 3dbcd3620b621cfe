"""The scripts of characters: Unicode's property, with the numbers that ICU gives scripts.

Python knows no scripts, but the names of characters begin with them. What differs is listed: the
result is that of TensorFlow for all characters that its version of Unicode has.
"""

from __future__ import annotations

import functools
import re
import unicodedata

import numpy as np

# The names in the order of their numbers; a number in the list is that of the next name.
_NAMES = """Common Inherited Arabic Armenian Bengali Bopomofo Cherokee Coptic Cyrillic Deseret
Devanagari Ethiopic Georgian Gothic Greek Gujarati Gurmukhi Han Hangul Hebrew Hiragana Kannada
Katakana Khmer Lao Latin Malayalam Mongolian Myanmar Ogham Old_Italic Oriya Runic Sinhala Syriac
Tamil Telugu Thaana Thai Tibetan Canadian_Aboriginal Yi Tagalog Hanunoo Buhid Tagbanwa Braille
Cypriot Limbu Linear_B Osmanya Shavian Tai_Le Ugaritic 55 Buginese Glagolitic Kharoshthi
Syloti_Nagri New_Tai_Lue Tifinagh Old_Persian Balinese Batak 65 Brahmi Cham 71 Egyptian_Hieroglyphs
75 Pahawh_Hmong Old_Hungarian 78 Javanese Kayah_Li 82 Lepcha Linear_A Mandaic 86
Meroitic_Hieroglyphs Nko Old_Turkic Old_Permic Phags_Pa Phoenician Miao 99 Vai 101 Cuneiform 103
Unknown Carian 106 Tai_Tham Lycian Lydian Ol_Chiki Rejang Saurashtra SignWriting Sundanese 115
Meetei_Mayek Imperial_Aramaic Avestan Chakma 120 Kaithi Manichaean Inscriptional_Pahlavi
Psalter_Pahlavi 125 Inscriptional_Parthian Samaritan Tai_Viet 130 Bamum Lisu 133 Old_South_Arabian
Bassa_Vah Duployan Elbasan Grantha 140 Mende_Kikakui Meroitic_Cursive Old_North_Arabian Nabataean
Palmyrene Khudawadi Warang_Citi 149 Mro Nushu Sharada Sora_Sompeng Takri Tangut 156
Anatolian_Hieroglyphs Khojki Tirhuta Caucasian_Albanian Mahajani Ahom Hatran Modi Multani
Pau_Cin_Hau Siddham Adlam Bhaiksuki Marchen Newa Osage 175 Masaram_Gondi Soyombo Zanabazar_Square
Dogra Gunjala_Gondi Makasar Medefaidrin Hanifi_Rohingya Sogdian Old_Sogdian Elymaic
Nyiakeng_Puachue_Hmong Nandinagari Wancho Chorasmian Dives_Akuru Khitan_Small_Script Yezidi"""

# Other beginnings of names, and what may precede these.
_BEGINNINGS = {
    "ANATOLIAN HIEROGLYPH": "Anatolian_Hieroglyphs",
    "CANADIAN SYLLABICS": "Canadian_Aboriginal",
    "CJK COMPATIBILITY IDEOGRAPH": "Han",
    "CJK RADICAL": "Han",
    "CJK UNIFIED": "Han",
    "EGYPTIAN HIEROGLYPH": "Egyptian_Hieroglyphs",
    "HANGZHOU NUMERAL": "Han",
    "HENTAIGANA": "Hiragana",
    "KANGXI RADICAL": "Han",
    "KHITAN SMALL": "Khitan_Small_Script",
    "MEROITIC HIEROGLYPHIC": "Meroitic_Hieroglyphs",
    "PHAGS PA": "Phags_Pa",
}
_BEFORE = re.compile(
    "^(?:(?:CIRCLED|COMBINING|FULLWIDTH|HALFWIDTH|MODIFIER LETTER(?: SMALL| CAPITAL)?|"
    "PARENTHESIZED|SUBSCRIPT|SUPERSCRIPT) )+"
)
# The characters for which the beginning of the name tells another script.
_OTHERS = {
    "Arabic": "60b 6f0-6f9 fdfc 10e60-10e7e",
    "Armenian": "58d-58e",
    "Avestan": "10b3a-10b3f",
    "Bopomofo": "2ea-2eb",
    "Common": "374 37e 385 387 605 60c 61b 61f 640 6dd 8e2 964-965 e3f 10fb 16eb-16ed 1802-1803 "
    "1805 249c-24e9 271d 309b-309c 30a0 30fb-30fc a92e a9cf ff65 ff70 ff9e-ff9f 102e1-102fb "
    "1f110-1f129",
    "Cyrillic": "a673",
    "Greek": "1d5d 1d5f 1d61 1dbf 2126 1018e",
    "Han": "3005 3007 303b 16ff0-16ff1",
    "Hangul": "321d-321e 327c-327d",
    "Hiragana": "1f200",
    "Inherited": "342-345 363-36f 485-486 64b-655 670 951-954 1abf-1ac0 1dca 1dd3-1df4 200c-200d "
    "3099-309a 102e0",
    "Katakana": "3300-3357",
    "Latin": "aa ba 2b0-2b8 2e0-2e4 1d2c-1d5c 1d9b-1dbe 212a-212b 2132 214e 2160-2183 2185-2188 "
    "2c7d a770 a7f8-a7f9 ab5c-ab5f ab69",
    "Tangut": "17000-187f7 18d00-18d08",
}


def _numbered() -> dict[str, int]:
    found, number = {}, 0
    for word in _NAMES.split():
        if word.isdigit():
            number = int(word)
        else:
            found[word], number = number, number + 1
    return found


NUMBERS = _numbered()


_BEGINS = {name.upper().replace("_", " "): name for name in NUMBERS} | _BEGINNINGS


@functools.cache
def _others() -> dict[int, int]:
    found = {}
    for name, ranges in _OTHERS.items():
        for edges in ranges.split():
            first, _, last = edges.partition("-")
            numbers = range(int(first, 16), int(last or first, 16) + 1)
            found.update(dict.fromkeys(numbers, NUMBERS[name]))
    return found


def of(character: int) -> int:
    """The number of the script of a character.

    >>> from keraslike.tf.scripts import NUMBERS, of
    >>> of(ord("a")) == NUMBERS["Latin"]
    True
    """
    known = _others().get(character)
    if known is not None:
        return known
    text = chr(character)
    category = unicodedata.category(text)
    if category in ("Cn", "Co", "Cs"):
        return NUMBERS["Unknown"]
    words = _BEFORE.sub("", unicodedata.name(text, "")).replace("-", " ").split(" ", 3)
    for count in (3, 2, 1):
        script = _BEGINS.get(" ".join(words[:count]))
        if script is not None:
            return NUMBERS[script]
    return NUMBERS["Inherited" if category in ("Me", "Mn") else "Common"]


@functools.cache
def of_all() -> np.ndarray:
    """The numbers of the scripts of all characters."""
    return np.fromiter(map(of, range(0x110000)), np.int16, 0x110000)
