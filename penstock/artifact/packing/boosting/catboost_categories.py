"""CatBoost's categories: their codes, and the statistics of the target (CTRs) by one or several of them.

The model knows a category by 32 bits of its hash, and a combination of categories, of numbers above a border and of
single categories by 64 bits. A text's code is the place of its hash among those that are known, so that a statistic is
a table: by the code, or by the codes of a combination in mixed radix.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from penstock.artifact.city_hash import category_hash
from penstock.artifact.packing.program import Block, ProgramBuilder, Text, unsupported
from penstock.artifact.program import Op
from penstock.artifact.terms import Vectorizer

Array = np.ndarray[Any, Any]
_MULTIPLIER = np.uint64(0x4906BA494954CB65)
"""`CalcHash` of catboost/libs/model/hash.h."""
_INVERSE = pow(int(_MULTIPLIER), -2, 2**64)
_EMPTY = np.uint64(2**64 - 1)
_MOST_ENTRIES = 2**20
"""Tables of more numbers than that, by combinations of many categories, are left to CatBoost."""


class CategoryCodes(NamedTuple):
    """A categorical feature: the slot of its code, and the known hashes in the order of the codes.

    Of n known ones n + 1 is the code of any other; n is that of a missing number, and not used.
    """

    slot: int
    known: tuple[int, ...]


class Categories:
    """The slots of codes and of statistics.

    `players`: the slot of a statistic by one feature -> the slot of the feature's code.
    `combined`: the slot of a statistic by a combination -> the slots of the codes of its features. They share what it
    contributes, as in CatBoost; the numbers above a border and the single categories in it have no share.
    `numbers`: a float feature's number -> its slot, and whether a missing one is above every border.
    """

    def __init__(
        self,
        builder: ProgramBuilder,
        estimator: Any,
        block: Block,
        told: dict[str, Any],
        numbers: dict[int, tuple[int, bool]],
    ) -> None:
        self._builder, self._estimator, self._numbers = builder, estimator, numbers
        info = told["features_info"]
        self._ctrs: list[dict[str, Any]] = info.get("ctrs", [])
        self._statistics: dict[str, Any] = told.get("ctr_data", {})
        self._entries = 0
        borders = sum(len(one.get("borders") or ()) for one in info.get("float_features", []))
        features = info.get("categorical_features", [])
        self._first_split = borders + sum(len(one.get("values") or ()) for one in features)
        self.coded = {one["feature_index"]: self._coded(one, block) for one in features}
        self._places = [
            place for place, ctr in enumerate(self._ctrs) for _ in ctr["borders"]
        ]  # split behind the first -> its statistic
        self._slots: dict[int, int] = {}
        self.players: dict[int, int] = {}
        self.combined: dict[int, frozenset[int]] = {}

    def one_hot(self, split: dict[str, Any]) -> tuple[int, frozenset[int]]:
        """The slot of a split by one category, and the codes that go left: all others."""
        coded = self.coded[split["cat_feature_index"]]
        own = coded.known.index(split["value"] % 2**32)
        return coded.slot, frozenset(range(len(coded.known))) - {own}

    def statistic(self, split: dict[str, Any]) -> int:
        """The slot of the statistic that a split asks about."""
        place = self._places[split["split_index"] - self._first_split]
        if place not in self._slots:
            ctr = self._ctrs[place]
            values, slot = self._values(ctr), self._index(ctr["elements"])
            start = self._builder.constants(values)
            made = self._builder.emit(Op.TABLE, slot, self._builder.new(), start, len(values))
            if len(ctr["elements"]) == 1:
                self.players[made] = slot
            elif whole := [one for one in ctr["elements"] if one["combination_element"] == "cat_feature_value"]:
                self.combined[made] = frozenset(self.coded[one["cat_feature_index"]].slot for one in whole)
            self._slots[place] = made
        return self._slots[place]

    def _coded(self, feature: dict[str, Any], block: Block) -> CategoryCodes:
        column = block.columns[feature["flat_feature_index"]]
        if not isinstance(column, Text):
            name = self._builder.name(column.origin)
            raise unsupported(self._estimator, f"text for the category {name!r}", "a number")
        known = {value % 2**32 for value in feature.get("values") or ()}
        known |= {category_hash(text) for text in self._builder.categories(column)}
        known |= set(self._alone(feature["feature_index"]))
        told = Vectorizer(width=1, dictionary=0, fill=column.fill, analyzer="category")
        ordered = tuple(sorted(known))
        return CategoryCodes(self._builder.terms(column.origin, told, [str(one) for one in ordered])[0], ordered)

    def _alone(self, feature: int) -> Iterator[int]:
        """The hashes of a feature's categories in statistics of that feature alone."""
        for ctr in self._ctrs:
            elements = ctr["elements"]
            if len(elements) == 1 and elements[0].get("cat_feature_index") == feature:
                keys, _ = _stored(self._statistics[ctr["identifier"]])
                yield from (key * _INVERSE % 2**32 for key in keys.tolist())

    def _index(self, elements: Sequence[dict[str, Any]]) -> int:
        """The slot with the place of a combination in its tables: the codes of its elements in mixed radix."""
        total = self._slot(elements[0])
        for element in elements[1:]:
            scaled = self._builder.with_constant(Op.MULTIPLY, total, len(self._parts(element)))
            total = self._builder.two(Op.PLUS, scaled, self._slot(element))
        return total

    def _slot(self, element: dict[str, Any]) -> int:
        """The slot of an element's code."""
        kind = element["combination_element"]
        if kind == "float_feature":
            slot, missing_above = self._numbers[element["float_feature_index"]]
            if missing_above:
                slot = self._builder.with_constant(Op.FILL, slot, np.nan, np.inf)
            return self._builder.with_constant(Op.ABOVE, slot, np.float32(element["border"]))
        coded = self.coded[element["cat_feature_index"]]
        if kind == "cat_feature_value":
            return coded.slot
        table = np.zeros(len(coded.known) + 2)
        table[coded.known.index(element["value"] % 2**32)] = 1.0
        start = self._builder.constants(table)
        return self._builder.emit(Op.TABLE, coded.slot, self._builder.new(), start, len(table))

    def _parts(self, element: dict[str, Any]) -> Array:
        """What each code of an element adds to the hash of a combination; the last two of a category are of none."""
        if element["combination_element"] != "cat_feature_value":
            return np.arange(2, dtype=np.uint64)
        known = self.coded[element["cat_feature_index"]].known
        return np.array([*known, 0, 0], dtype=np.uint32).view(np.int32).astype(np.int64).view(np.uint64)

    def _values(self, ctr: dict[str, Any]) -> Array:
        """The statistic for each place of a combination, in float32 as CatBoost computes it."""
        data = self._statistics[ctr["identifier"]]
        keys, counts = _stored(data)
        hashes, known = self._hashes(ctr["elements"])
        order = np.argsort(keys)
        found = order[np.minimum(np.searchsorted(keys[order], hashes), len(keys) - 1)]
        present = known & (keys[found] == hashes)
        if len(np.unique(found[present])) != len(keys):
            raise unsupported(
                self._estimator, "categories that are all known, from the training frame's `categories`", "others"
            )
        good, total, none = _counts(ctr, counts, data)
        single = np.float32
        good = np.where(present, good[found], 0.0).astype(single)
        total = np.where(present, total[found], none).astype(single)
        share = (good + single(ctr["prior_numerator"])) / (total + single(ctr["prior_denomerator"]))
        return np.asarray((share + single(ctr["shift"])) * single(ctr["scale"]), dtype=np.float64)

    def _hashes(self, elements: Sequence[dict[str, Any]]) -> tuple[Array, Array]:
        """The hash of each place of a combination, and whether each of its categories is known."""
        hashes: Array = np.zeros(1, dtype=np.uint64)
        known: Array = np.ones(1, dtype=bool)
        for element in elements:
            parts = self._parts(element)
            self._entries += len(hashes) * len(parts)
            if self._entries > _MOST_ENTRIES:
                raise unsupported(
                    self._estimator, f"combinations of at most {_MOST_ENTRIES:,} places; set max_ctr_complexity=1"
                )
            whole = element["combination_element"] == "cat_feature_value"
            there = np.arange(len(parts)) < len(parts) - 2 * whole
            hashes = (_MULTIPLIER * (hashes[:, None] + _MULTIPLIER * parts)).ravel()
            known = (known[:, None] & there).ravel()
        return hashes, known


def _stored(data: dict[str, Any]) -> tuple[Array, Array]:
    """The hashes of a statistic's combinations, and the numbers of each; places of its hash table that are empty have
    a hash of ones."""
    rows = np.array(data["hash_map"], dtype=object).reshape(-1, data["hash_stride"])
    keys = np.array([int(key) for key in rows[:, 0]], dtype=np.uint64)
    filled = keys != _EMPTY
    return keys[filled], rows[filled, 1:].astype(np.float64)


def _counts(ctr: dict[str, Any], counts: Array, data: dict[str, Any]) -> tuple[Array, Array, float]:
    """What is shared out of how much for each stored combination, and of how much for any other.

    Source: `CalcCtrs` of catboost/libs/model/static_ctr_provider.cpp.
    """
    kind, border = ctr["ctr_type"], ctr["target_border_idx"]
    if kind in ("Counter", "FeatureFreq"):
        total = float(data["counter_denominator"])
        return counts[:, 0], np.full(len(counts), total), total
    if kind in ("BinarizedTargetMeanValue", "FloatTargetMeanValue"):
        return counts[:, 0], counts[:, 1], 0.0
    good = counts[:, border] if kind == "Buckets" else counts[:, border + 1 :].sum(axis=1)
    return good, counts.sum(axis=1), 0.0
