"""Terms of a text as a sparse row of numbers, as CountVectorizer, TfidfVectorizer and HashingVectorizer count them.

It is Python in both kernels: what a word is, its regular expressions decide.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from penstock.artifact.city_hash import category_hash

Array = np.ndarray[Any, Any]
_SPACES = re.compile(r"\s\s+")
MOST_HASHED = 2**16
"""Most places into which terms are hashed here, because a row has a slot for each; more are left to scikit-learn."""


class Vectorizer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is counted in a text, and how the counts become numbers.

    - `dictionary`: the number of the file's dictionary with the known terms; -1 where terms are hashed into `width`.
    - `idf`: where the terms' weights begin among the constants; -1 where they have none.
    - `analyzer`: what a term is. A "category" is a whole text, known by its hash: its code is the place of that hash in
      the dictionary, or 1 more than their number.
    - `fill`: what stands for a missing text; a missing one is refused where it is None.
    """

    width: int
    dictionary: int = -1
    idf: int = -1
    fill: str | None = None
    analyzer: Literal["word", "char", "char_wb", "category"] = "word"
    pattern: str = r"(?u)\b\w\w+\b"
    lowercase: bool = True
    strip_accents: Literal["", "ascii", "unicode"] = ""
    shortest: int = 1
    longest: int = 1
    stop_words: tuple[str, ...] = ()
    binary: bool = False
    alternate_sign: bool = False
    sublinear: bool = False
    norm: Literal["", "l1", "l2", "max"] = ""


class Rows(NamedTuple):
    """Sparse rows: those of row r are from `ends[r]` up to `ends[r + 1]`, by increasing place."""

    ends: Array
    places: Array
    values: Array


class Terms:
    """A vectorizer with its dictionary and weights: an array of texts to rows."""

    def __init__(self, told: Vectorizer, dictionaries: Sequence[Mapping[str, int]], constants: Array) -> None:
        self.told = told
        self._known = dictionaries[told.dictionary] if told.dictionary >= 0 else None
        self._idf = constants[told.idf : told.idf + told.width] if told.idf >= 0 else None
        self._stop_words = frozenset(told.stop_words)
        self._tokens = re.compile(told.pattern).findall

    def __call__(self, texts: Array) -> Rows:
        """The rows of texts; one that is neither text nor filled has none."""
        if self.told.analyzer == "category":
            return self._codes(texts)
        ends, places, values = [0], [], []
        for text in texts.tolist():
            counts: dict[int, int] = {}
            given = text if isinstance(text, str) else self.told.fill
            if given is not None:
                self._count(given, counts)
            places += sorted(counts)
            values += [counts[place] for place in sorted(counts)]
            ends.append(len(places))
        data = np.array(values, dtype=np.float64)
        if self.told.binary:
            data.fill(1.0)
        if self.told.sublinear:
            data = np.log(data) + 1.0
        if self._idf is not None:
            data *= self._idf[np.array(places, dtype=np.int64)]
        if self.told.norm:
            _normalise(data, ends, self.told.norm)
        return Rows(np.array(ends, dtype=np.int64), np.array(places, dtype=np.int64), data)

    def _codes(self, texts: Array) -> Rows:
        """The code of each text; each different one is hashed once."""
        known = self._known or {}
        given = [text if isinstance(text, str) else self.told.fill or "" for text in texts.tolist()]
        codes = {text: known.get(str(category_hash(text)), len(known) + 1) for text in set(given)}
        ends = np.arange(len(given) + 1, dtype=np.int64)
        return Rows(ends, np.zeros(len(given), dtype=np.int64), np.array([codes[text] for text in given], dtype=float))

    def missing(self, texts: Array) -> Array:
        """Which texts are missing, and have to be refused."""
        if self.told.fill is not None:
            return np.zeros(len(texts), dtype=bool)
        return np.array([not isinstance(text, str) for text in texts.tolist()], dtype=bool)

    def _count(self, text: str, counts: dict[int, int]) -> None:
        for term in self._terms(text):
            if self._known is not None:
                place, sign = self._known.get(term, -1), 1
            else:
                hashed = murmur(term.encode("utf-8", "surrogatepass"))
                place = (2**31 - self.told.width if hashed == -(2**31) else abs(hashed)) % self.told.width
                sign = -1 if self.told.alternate_sign and hashed < 0 else 1
            if place >= 0:
                counts[place] = counts.get(place, 0) + sign

    def _terms(self, text: str) -> list[str]:
        told = self.told
        text = text.lower() if told.lowercase else text
        text = _ACCENTS[told.strip_accents](text)
        if told.analyzer == "word":
            words = [word for word in self._tokens(text) if word not in self._stop_words]
            return _runs(words, told.shortest, told.longest, " ".join)
        text = _SPACES.sub(" ", text)
        if told.analyzer == "char":
            return _runs(text, told.shortest, told.longest, str)
        return _within_words(text, told.shortest, told.longest)


def _runs(parts: Any, shortest: int, longest: int, join: Callable[[Any], str]) -> list[str]:
    """Every run of `shortest` to `longest` parts."""
    lengths = range(shortest, min(longest, len(parts)) + 1)
    return [join(parts[at : at + length]) for length in lengths for at in range(len(parts) - length + 1)]


def _within_words(text: str, shortest: int, longest: int) -> list[str]:
    """Runs of characters of each word with a space on both sides; a word that is shorter than a run counts once."""
    made: list[str] = []
    for word in text.split():
        padded = f" {word} "
        for length in range(shortest, longest + 1):
            made.append(padded[:length])
            made += [padded[at : at + length] for at in range(1, len(padded) - length + 1)]
            if length >= len(padded):
                break
    return made


def _normalise(data: Array, ends: list[int], norm: str) -> None:
    """Each row divided by its length, whose parts are summed in order; a row of zeros stays."""
    for first, end in pairwise(ends):
        row = np.abs(data[first:end]) if norm != "l2" else data[first:end] * data[first:end]
        length = 0.0
        for value in row.tolist():
            length = max(length, value) if norm == "max" else length + value
        length = math.sqrt(length) if norm == "l2" else length
        if length:
            data[first:end] /= length


def murmur(data: bytes) -> int:
    """MurmurHash3 of 32 bits with the seed 0, as a signed number."""
    most, value = 0xFFFFFFFF, 0
    whole = len(data) & ~3
    for at in range(0, len(data), 4):
        block = int.from_bytes(data[at : at + 4], "little") * 0xCC9E2D51 & most
        block = ((block << 15 | block >> 17) & most) * 0x1B873593 & most
        value ^= block
        if at < whole:
            value = ((value << 13 | value >> 19) & most) * 5 + 0xE6546B64 & most
    value ^= len(data)
    value = (value ^ value >> 16) * 0x85EBCA6B & most
    value = (value ^ value >> 13) * 0xC2B2AE35 & most
    value ^= value >> 16
    return value - 2**32 if value >= 2**31 else value


def _ascii(text: str) -> str:
    import unicodedata

    return unicodedata.normalize("NFKD", text).encode("ASCII", "ignore").decode("ASCII")


def _without_marks(text: str) -> str:
    import unicodedata

    if text.isascii():
        return text
    return "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))


_ACCENTS: dict[str, Callable[[str], str]] = {"": str, "ascii": _ascii, "unicode": _without_marks}
