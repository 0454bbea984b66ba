"""The column program under construction: slots, constants, instructions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from penstock.artifact.packing.model import Model
from penstock.artifact.program import FEATURE, LEAF, Function, Op
from penstock.artifact.terms import Vectorizer
from penstock.contract.contract import Feature
from penstock.errors import PenstockError, UnsupportedEstimator

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Number:
    """A column of numbers in a slot, made from the feature `origin`."""

    slot: int
    origin: int


@dataclass(frozen=True)
class Text:
    """A text feature that is not encoded yet; `fill` stands for missing values once an imputer has been there."""

    origin: int
    fill: str | None = None


Column = Number | Text


@dataclass(frozen=True)
class Block:
    """The columns between two steps, in order, and whether scikit-learn holds them as a sparse matrix there."""

    columns: list[Column]
    sparse: bool


Transform = Callable[["ProgramBuilder", Any, Block], Block]
Packer = Callable[["ProgramBuilder", Any, Block], Model]
Decision = Callable[["ProgramBuilder", Any, Block], tuple[list[int], bool]]


@dataclass(frozen=True)
class Families:
    """The class names of transformers with what makes instructions of each, and of estimators with what packs each.

    Pipelines and ensembles find here what they hold. `decisions` make the slots of a decision_function, and say whether
    they are in float32, for classifiers whose packed model has other raw scores.
    """

    transformers: Mapping[str, Transform]
    packers: Mapping[str, Packer]
    decisions: Mapping[str, Decision]


class ProgramBuilder:
    """Collects the instructions, constants and dictionaries of one model of the known families."""

    def __init__(
        self, families: Families, features: Sequence[Feature], categories: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self.families = families
        self._features = tuple(features)
        self._categories = dict(categories or {})
        self._program: list[tuple[int, int, int, int, int, int]] = []
        self._constants: list[Array] = []
        self._count = 0
        self._texts: list[list[str]] = []
        self.parts: list[Model] = []
        self.vectorizers: list[Vectorizer] = []
        self.in_single = False  # whether estimators read float32 here, as behind a stack of XGBoost alone
        self.stored_zeros = False  # whether a sparse matrix between two steps may hold zeros
        self.slots = 0
        self.integers: dict[int, str] = {}  # slot -> dtype, where scikit-learn has truth values or integers there
        # slot -> whose numbers differ from scikit-learn's in the last bit there, or are nothing but last bits
        self._rounded: dict[int, str] = {}
        self._noise: dict[int, str] = {}

    def features(self) -> list[Column]:
        """All features, numbers loaded into a slot each."""
        return [
            Number(self.emit(Op.NUMBER, at, self.new()), at) if feature.kind == "number" else Text(at)
            for at, feature in enumerate(self._features)
        ]

    def name(self, origin: int) -> str:
        """The feature's name, for messages."""
        return self._features[origin].name

    def categories(self, column: Column) -> Sequence[str]:
        """The categories of a text feature in the frame that was fitted, where they are known."""
        return self._categories.get(self.name(column.origin), ()) if isinstance(column, Text) else ()

    def new(self, width: int = 1) -> int:
        """The first of `width` new slots."""
        self.slots += width
        return self.slots - width

    def emit(self, op: Op, source: int, target: int, *operands: int) -> int:
        """Append one instruction, with `start`, `count` and `extra` where it has them, and give its target."""
        start, count, extra = (*operands, 0, 0, 0)[:3]
        for marks in (self._rounded, self._noise):
            marked = None if op in (Op.NUMBER, Op.TEXT, Op.TERMS, Op.MODEL) else marks.get(source)
            if op in (Op.PLUS, Op.MINUS, Op.TIMES, Op.OVER, Op.GREATER):
                marked = marked or marks.get(extra)
            marks.pop(target, None)
            if marked:
                marks[target] = marked
        integers = self.integers.get(source) if op in (Op.COPY, Op.FINITE) else None
        self.integers.pop(target, None)
        if integers:
            self.integers[target] = integers
        self._program.append((int(op), source, target, start, count, extra))
        return target

    def constants(self, values: Any) -> int:
        """Where the values are among the constants."""
        array = np.asarray(values, dtype=np.float64).ravel()
        self._constants.append(array)
        self._count += len(array)
        return self._count - len(array)

    def two(self, op: Op, left: int, right: int) -> int:
        """A new slot with the sum, difference, product or quotient of two slots."""
        return self.emit(op, left, self.new(), 0, 0, right)

    def apply(self, function: Function, source: int) -> int:
        """A new slot with the function of a slot."""
        return self.emit(Op.FUNCTION, source, self.new(), 0, 0, int(function))

    def with_constant(self, op: Op, source: int, *constants: Any) -> int:
        """A new slot with what an instruction makes of a slot and constants."""
        return self.emit(op, source, self.new(), self.constants(constants))

    def ask(self, model: Model, *, raw: bool = False) -> list[int]:
        """The slots with what a model answers to the slots as they are then: its prediction, or its raw scores."""
        width = model.outputs if raw else model.columns
        self.parts.append(model)
        first = self.emit(Op.MODEL, 0, self.new(width), len(self.parts) - 1, int(raw), width)
        return list(range(first, first + width))

    def asked(self, slots: list[int]) -> list[int]:
        """The model whose answer is in the slots, if the last instruction has asked it."""
        op, _, target, model, *_ = self._program[-1]
        return [model] if op == Op.MODEL and target == slots[0] else []

    def fork(self, block: Block) -> Block:
        """The columns in slots of their own, for one of several that take them."""
        return Block([self.copy(one) if isinstance(one, Number) else one for one in block.columns], block.sparse)

    def copy(self, column: Number) -> Number:
        """The column in a slot of its own, as instructions on numbers work in place."""
        return Number(self.emit(Op.COPY, column.slot, self.new()), column.origin)

    def terms(self, origin: int, told: Vectorizer, known: list[str]) -> list[int]:
        """The slots of a text feature's terms; `known` are those of a dictionary, if there is one."""
        if told.dictionary >= 0:
            self._texts.append(known)
            told = msgspec.structs.replace(told, dictionary=len(self._texts) - 1)
        self.vectorizers.append(told)
        first = self.emit(Op.TERMS, origin, self.new(told.width), len(self.vectorizers) - 1, 0, told.width)
        return list(range(first, first + told.width))

    def has_terms(self, slots: list[int]) -> bool:
        """Whether the slots are all that the last instruction has made, and it was that of a vectorizer."""
        op, _, target, *_, width = self._program[-1]
        return op == Op.TERMS and slots == list(range(target, target + width))

    def text(self, origin: int, known: list[str]) -> int:
        """The slot of a text feature's codes."""
        self._texts.append(known)
        return self.emit(Op.TEXT, origin, self.new(), len(self._texts) - 1)

    def finite(self, columns: Sequence[Column], *, allow_nan: bool, positive: bool = False) -> None:
        """Refuse what scikit-learn's input checks refuse. What has to be positive may be NaN."""
        for column in columns:
            if isinstance(column, Number):
                self.emit(Op.FINITE, column.slot, column.slot, 2 if positive else int(allow_nan), 0, column.origin)

    def mark_rounded(self, estimator: Any, slots: Sequence[int]) -> None:
        """Note that the estimator's numbers in the slots are not to the last bit those of scikit-learn."""
        self._rounded |= dict.fromkeys(slots, type(estimator).__name__)

    def mark_noise(self, words: str, slots: Sequence[int]) -> None:
        """Note that a step's numbers in the slots are nothing but rounding: `words` say which step, and what to do."""
        self._noise |= dict.fromkeys(slots, words)

    def demand_no_noise(self, estimator: Any, model: Model) -> None:
        """PenstockError where trees compare numbers that are nothing but rounding: no two ways to one have it alike."""
        if model.engine != "trees" or not self._noise:
            return
        asked = model.arrays["nodes"]["feature"]
        asked = np.unique(asked[asked != LEAF] & FEATURE)
        words = next((self._noise[slot] for slot in asked.tolist() if slot in self._noise), "")
        if words:
            step, todo = words.split(": ", 1)
            raise PenstockError(
                f"{step} before {type(estimator).__name__}",
                expected="components that hold more than rounding",
                found="some that do not, which its trees compare",
                todo=todo,
            )

    def mark_integers(self, columns: Sequence[Column], dtype: Any) -> None:
        """Note that scikit-learn holds the columns in the dtype, if it is one of truth values or integers."""
        if np.dtype(dtype).kind in "iub":
            self.integers |= {one.slot: np.dtype(dtype).name for one in columns if isinstance(one, Number)}

    def join(self, columns: Sequence[Column]) -> None:
        """Columns side by side, which numpy makes float64 as soon as one of them is."""
        slots = {one.slot for one in columns if isinstance(one, Number)}
        if any(slot not in self.integers for slot in slots):
            self.integers = {slot: dtype for slot, dtype in self.integers.items() if slot not in slots}

    def demand_exact(self, estimator: Any, columns: Sequence[Column]) -> None:
        """UnsupportedEstimator if the estimator, for which the last bit decides, has numbers that were rounded."""
        for column in columns:
            if isinstance(column, Number) and column.slot in self._rounded:
                raise unsupported(estimator, "numbers to the last bit", f"those of {self._rounded[column.slot]}")

    def numbers(self, estimator: Any, block: Block) -> list[Number]:
        """The block's columns if all are numbers, else UnsupportedEstimator naming the text feature."""
        made: list[Number] = []
        for column in block.columns:
            if isinstance(column, Text):
                raise unsupported(estimator, f"encoded columns, not the text feature {self.name(column.origin)!r}")
            made.append(column)
        return made

    def arrays(self) -> dict[str, Array]:
        """The arrays of the column program, and of the models that it runs."""
        encoded = [text.encode("utf-8", "surrogatepass") for known in self._texts for text in known]
        return {
            "program": np.array(self._program, dtype=np.int64).reshape(-1, 6),
            "constants": np.concatenate(self._constants) if self._constants else np.empty(0),
            "text_sizes": np.array([len(known) for known in self._texts], dtype=np.int64),
            "text_ends": np.cumsum([len(text) for text in encoded], dtype=np.int64),
            "text_bytes": np.frombuffer(b"".join(encoded), dtype=np.uint8),
            **{f"{at}.{name}": array for at, part in enumerate(self.parts) for name, array in part.arrays.items()},
        }


def unsupported(thing: Any, expected: str, found: str = "") -> UnsupportedEstimator:
    """The error that sends packing to the fallback."""
    return UnsupportedEstimator(f"{type(thing).__name__}", expected=expected, found=found)
