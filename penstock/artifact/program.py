"""The column program of a model file: how feature columns become the slots that an estimator reads.

A fitted pipeline is a list of instructions on slots, each slot one column of float64. What an ensemble asks before it
answers (the members of a vote, the classifier that is calibrated) is a model of the file that an instruction runs.
A category is first turned into a code (its place among the known ones, then the codes of None, NaN and unknown), and a
code into a number by a table.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from penstock.artifact.terms import MOST_HASHED, Vectorizer
from penstock.errors import ArtifactError

Array = np.ndarray[Any, Any]


class Op(IntEnum):
    """One instruction: (op, source slot, target slot, start, count, extra). `_kernel.c` has the same numbers.

    `start` and `count` are a range of the constants. What is said of `extra` is in parentheses.
    """

    NUMBER = 0  # target = feature[source]
    TEXT = 1  # target = code of feature[source] in dictionary[start]: strings, then None, NaN, unknown
    CODE = 2  # target = place of source among the sorted constants, then NaN, unknown
    TABLE = 3  # target = constants[start + code]
    ONE_HOT = 4  # targets .. target + extra = 0, except that at constants[start + code] = 1
    SUBTRACT = 5
    DIVIDE = 6
    MULTIPLY = 7
    ADD = 8
    CLIP = 9  # between constants[start] and constants[start + 1]
    FILL = 10  # where source is the missing value constants[start]: constants[start + 1]
    MISSING = 11  # 1 where source is the missing value constants[start], else 0
    FINITE = (
        12  # refuse infinity, NaN unless start is 1 or 2, what is not above 0 if it is 2 (extra: the feature to name)
    )
    FLOAT32 = 13  # round to float32
    KNOWN = 14  # refuse where constants[start + code] is 0 (extra: the feature to name)
    COPY = 15
    MODEL = 16  # targets .. target + extra = what model[start] predicts, or with count 1 its raw scores
    NEAR_ZERO = 17  # where |source| <= constants[start]: constants[start + 1]
    TRUNCATE = 18  # towards zero
    FLOOR = 19
    PLUS = 20  # source + slot[extra]
    MINUS = 21
    TIMES = 22
    OVER = 23
    FUNCTION = 24  # Function[extra] of source
    INTERPOLATE = 25  # on the line through count / 2 points of the constants, xs before ys (extra 1: in float32)
    ABOVE = 26  # 1 where source > constants[start] (extra 1: or equal), else 0
    GREATER = 27  # the greater of source and slot[extra]
    MEDIAN = 28  # the weighted median of slots source .. source + count, of constants[start ..] as their weights
    POWER = 29  # source raised to constants[start]
    TERMS = 30  # targets .. target + extra = what vectorizer[start] makes of feature[source]; refuse a missing one
    REMAINDER = 31  # of source divided by constants[start], which is above 0: numpy's, from 0 on


class Function(IntEnum):
    """What `Op.FUNCTION` applies. `_kernel.c` has the same numbers."""

    EXP = 0
    EXPM1 = 1
    LN = 2
    LOG1P = 3
    LOG2 = 4
    LOG10 = 5
    SQRT = 6
    SQUARE = 7
    ABSOLUTE = 8
    SIGMOID = 9
    TANH = 10
    RELU = 11
    RECIPROCAL = 12
    NEGATIVE = 13
    CUBE_ROOT = 14
    SINE = 15
    COSINE = 16
    TANGENT = 17
    ARCSINE = 18
    ARCCOSINE = 19
    ARCTANGENT = 20
    SINH = 21
    COSH = 22
    ARCSINH = 23
    ARCCOSH = 24
    ARCTANH = 25
    EXP2 = 26
    SIGN = 27
    CEILING = 28
    ROUND = 29
    NORMAL_QUANTILE = 30


class Engine(IntEnum):
    """How a model scores. `_kernel.c` has the same numbers."""

    trees = 0
    linear = 1
    slots = 2  # the slots of `inputs` are the scores


class Link(IntEnum):
    """How raw scores become the prediction. `_kernel.c` has the same numbers."""

    IDENTITY = 0
    LOG = 1
    LOGIT = 2
    HALF_LOGIT = 3
    SOFTMAX = 4
    ONE_VS_REST = 5
    CLIPPED = 6
    CLIPPED_ONE_VS_REST = 7
    EXPIT = 8  # of each score by itself
    SOFTPLUS = 9
    SIGNED_SQUARE = 10
    SINGLE_LOGIT = 11  # `SINGLE_` ones in float32, as XGBoost computes them
    SINGLE_SOFTMAX = 12
    SINGLE_LOG = 13
    SINGLE_EXPIT = 14
    HINGE = 15
    STEP = 16  # 1 where the score is above 0: HINGE of a regressor


BINARY = (Link.LOGIT, Link.HALF_LOGIT, Link.CLIPPED, Link.SINGLE_LOGIT, Link.HINGE)
"""Links that make two probabilities of one score."""
OF_VALUES = (
    *(Link.IDENTITY, Link.LOG, Link.EXPIT, Link.SOFTPLUS, Link.SIGNED_SQUARE),
    *(Link.SINGLE_LOG, Link.SINGLE_EXPIT, Link.STEP),
)
"""Links of a regressor."""

LEAF, MISSING_LEFT, CATEGORY, FEATURE = 1 << 31, 1 << 30, 1 << 29, (1 << 24) - 1
"""Flags of a node's `feature`. A leaf's `link` is the node's number in scikit-learn, its `value` the value or, in
vector trees, the bits of the row of `leaf_values`. Another node's left child is the next node, its right child
`link`; the `value` is the threshold or the bits of the row of `bitsets`."""

_FEATURE_OPS = (Op.NUMBER, Op.TEXT, Op.TERMS)
_CONSTANTS = {Op.SUBTRACT: 1, Op.DIVIDE: 1, Op.MULTIPLY: 1, Op.ADD: 1, Op.CLIP: 2, Op.FILL: 2, Op.MISSING: 1}
_CONSTANTS |= {Op.NEAR_ZERO: 2, Op.ABOVE: 1, Op.POWER: 1, Op.REMAINDER: 1}
_CODED = (Op.CODE, Op.TABLE, Op.ONE_HOT, Op.KNOWN, Op.INTERPOLATE, Op.MEDIAN)
_OF_TWO = (Op.PLUS, Op.MINUS, Op.TIMES, Op.OVER, Op.GREATER)
_WIDE = (Op.ONE_HOT, Op.MODEL, Op.TERMS)
_NAMING = (Op.FINITE, Op.KNOWN)


def check(
    name: str,
    arrays: Mapping[str, Array],
    slots: int,
    kinds: tuple[str, ...],
    widths: Sequence[tuple[int, int]] = (),
    vectorizers: Sequence[Vectorizer] = (),
) -> None:
    """ArtifactError unless every instruction stays within its features, slots, dictionaries, constants and models.

    `widths` are the columns and the outputs of each model that instructions may run.
    """

    def demand(holds: Any, what: str) -> None:
        if not np.all(holds):
            raise ArtifactError(f"artifact {name}", expected=f"a column program with {what}", found="another one")

    program, constants = arrays["program"], arrays["constants"]
    demand(program.shape[1] == 6, "six numbers per instruction")
    demand(0 < slots <= FEATURE, "a valid number of slots")
    op, source, target, start, count, extra = program.T
    limit = max(len(program), len(constants), 1) + 1
    demand((op >= 0) & (op <= max(Op)), "known instructions")
    demand((source >= 0) & (target >= 0) & (start >= 0) & (count >= 0) & (extra >= 0), "no negative numbers")
    demand((start < 2**40) & (count < 2**40) & (extra < 2**40), "small numbers")
    demand(slots <= len(program) + int(extra[np.isin(op, _WIDE)].sum()), "as few slots")
    demand(slots - int(extra[op == Op.TERMS].sum()) < limit * limit, "as few slots")
    loads = np.isin(op, _FEATURE_OPS)
    demand(source[loads] < len(kinds), "sources among the features")
    demand(source[~loads] < slots, "sources among the slots")
    medians = op == Op.MEDIAN
    demand(source[medians] + count[medians] <= slots, "medians of slots")
    width = np.where(np.isin(op, _WIDE), extra, 1)
    demand(target + width <= slots, "targets among the slots")
    demand([kinds[feature] == "number" for feature in source[op == Op.NUMBER]], "numbers of number features")
    texts = source[(op == Op.TEXT) | (op == Op.TERMS)]
    demand([kinds[feature] == "text" for feature in texts], "texts of text features")
    demand(start[op == Op.TEXT] < len(arrays["text_sizes"]), "texts of its dictionaries")
    needed = np.zeros(len(program), dtype=np.int64)
    for known, constant_count in _CONSTANTS.items():
        needed[op == known] = constant_count
    coded = np.isin(op, _CODED)
    needed[coded] = count[coded]
    demand(start[needed > 0] + needed[needed > 0] <= len(constants), "constants of the file")
    demand(count[coded & (op != Op.CODE)] > 0, "tables that are not empty")
    demand(extra[op == Op.ONE_HOT] <= count[op == Op.ONE_HOT], "one-hot columns as wide as their table")
    demand(extra[np.isin(op, _NAMING)] < len(kinds), "refusals that name a feature")
    demand(extra[np.isin(op, _OF_TWO)] < slots, "second sources among the slots")
    demand(extra[op == Op.FUNCTION] <= max(Function), "known functions")
    pairs = count[op == Op.INTERPOLATE]
    demand((pairs > 0) & (pairs % 2 == 0), "points of two numbers")
    for vectorizer, _, wide in program[op == Op.TERMS][:, 3:].tolist():
        demand(vectorizer < len(vectorizers) and wide == vectorizers[vectorizer].width, "vectorizers of the file")
    sizes = arrays["text_sizes"].tolist()
    for told in vectorizers:
        demand(-1 <= told.dictionary < len(sizes), "terms of its dictionaries")
        demand(told.idf == -1 or 0 <= told.idf <= len(constants) - told.width, "weights of the file")
        demand(told.dictionary >= 0 or told.width <= MOST_HASHED, "as few places for hashed terms")
        demand(told.width > 0 and 0 < told.shortest <= told.longest, "terms of some length")
        by_hash = told.analyzer == "category"
        demand(told.width == 1 and told.dictionary >= 0 if by_hash else True, "one code for each category")
        demand(by_hash or told.dictionary < 0 or sizes[told.dictionary] == told.width, "a place for each term")
    for model, raw, wide in program[op == Op.MODEL][:, 3:].tolist():
        demand(model < len(widths) and raw < 2 and wide == widths[model][raw], "models of the file")


def dictionaries(name: str, arrays: Mapping[str, Array]) -> tuple[dict[str, int], ...]:
    """The known strings of each dictionary to their code; ArtifactError for offsets outside the bytes."""
    ends, sizes, blob = arrays["text_ends"], arrays["text_sizes"], arrays["text_bytes"].tobytes()
    in_order = len(ends) == 0 or (ends[0] >= 0 and ends[-1] == len(blob) and bool(np.all(np.diff(ends) >= 0)))
    if not in_order or np.any((sizes < 0) | (sizes > len(ends))) or int(sizes.sum()) != len(ends):
        raise ArtifactError(f"artifact {name}", expected="text offsets within the text", found="others")
    made: list[dict[str, int]] = []
    first = 0
    begins = [0, *ends.tolist()]
    for size in sizes.tolist():
        spans = zip(begins[first : first + size], begins[first + 1 : first + size + 1], strict=True)
        try:
            made.append({blob[a:b].decode("utf-8", "surrogatepass"): code for code, (a, b) in enumerate(spans)})
        except UnicodeDecodeError as error:
            raise ArtifactError(f"artifact {name}", expected="UTF-8 text", found=str(error)) from None
        first += size
    return tuple(made)
