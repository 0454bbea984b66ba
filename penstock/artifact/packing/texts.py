"""Vectorizers of texts, and the weights of their terms."""

from typing import Any

import msgspec
import numpy as np

from penstock.artifact.packing.model import sklearn_name
from penstock.artifact.packing.program import Block, Column, Number, ProgramBuilder, Text, Transform, unsupported
from penstock.artifact.packing.scaling import length
from penstock.artifact.program import Function, Op
from penstock.artifact.terms import MOST_HASHED, Vectorizer


def _vectorize(builder: ProgramBuilder, vectorizer: Any, block: Block) -> Block:
    """CountVectorizer, TfidfVectorizer and HashingVectorizer over one text feature."""
    column = block.columns[0] if len(block.columns) == 1 else None
    if not isinstance(column, Text):
        raise unsupported(vectorizer, "one text feature")
    _demand_plain(vectorizer)
    name = sklearn_name(vectorizer)
    hashed = name == "HashingVectorizer"
    terms = [] if hashed else sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    width = vectorizer.n_features if hashed else len(terms)
    if hashed and width > MOST_HASHED:
        raise unsupported(vectorizer, f"n_features of at most {MOST_HASHED}", str(width))
    told = Vectorizer(
        width=width,
        dictionary=-1 if hashed else 0,
        fill=column.fill,
        analyzer=vectorizer.analyzer,
        pattern=vectorizer.token_pattern,
        lowercase=bool(vectorizer.lowercase),
        strip_accents=vectorizer.strip_accents or "",
        shortest=int(vectorizer.ngram_range[0]),
        longest=int(vectorizer.ngram_range[1]),
        stop_words=tuple(sorted(vectorizer.get_stop_words() or ())),
        binary=bool(vectorizer.binary),
        alternate_sign=hashed and bool(vectorizer.alternate_sign),
        norm=(vectorizer.norm or "") if hashed else "",
    )
    if name == "TfidfVectorizer":
        told = _weighted(builder, vectorizer, told)
    made: list[Column] = [Number(slot, column.origin) for slot in builder.terms(column.origin, told, terms)]
    builder.mark_integers(made, vectorizer.dtype)
    return Block(made, sparse=True)


def _weighted(builder: ProgramBuilder, transformer: Any, told: Vectorizer) -> Vectorizer:
    return msgspec.structs.replace(
        told,
        sublinear=bool(transformer.sublinear_tf),
        idf=builder.constants(transformer.idf_) if transformer.use_idf else -1,
        norm=transformer.norm or "",
    )


def _weigh(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """TfidfTransformer: right behind a vectorizer a part of it, which skips what a text has not; else instructions.

    Behind copies of a vectorizer's terms it is instructions too, because others read the terms as they are.
    """
    columns = builder.numbers(transformer, block)
    slots = [one.slot for one in columns]
    last = builder.vectorizers[-1] if builder.has_terms(slots) else None
    if last is None or last.norm or last.sublinear or last.idf >= 0:
        return _weigh_columns(builder, transformer, columns)
    builder.vectorizers[-1] = _weighted(builder, transformer, last)
    return Block(block.columns, sparse=True)  # also where a ColumnTransformer has made a dense matrix of it


def _weigh_columns(builder: ProgramBuilder, transformer: Any, columns: list[Number]) -> Block:
    builder.finite(columns, allow_nan=False)
    made: list[Column] = []
    for at, column in enumerate(columns):
        slot = column.slot
        if transformer.sublinear_tf:  # zero, which a sparse matrix does not hold, stays zero
            logarithm = builder.apply(Function.LN, builder.with_constant(Op.FILL, slot, 0.0, 1.0))
            more = builder.with_constant(Op.ADD, logarithm, 1.0)
            slot = builder.two(Op.MINUS, more, builder.with_constant(Op.MISSING, slot, 0.0))
        if transformer.use_idf:
            slot = builder.with_constant(Op.MULTIPLY, slot, transformer.idf_[at])
        made.append(Number(slot, column.origin))
    block = Block(made, sparse=True)
    return length(builder, transformer, block) if transformer.norm else block


def _demand_plain(vectorizer: Any) -> None:
    callables = [name for name in ("preprocessor", "tokenizer") if getattr(vectorizer, name) is not None]
    callables += [name for name in ("analyzer", "strip_accents") if callable(getattr(vectorizer, name))]
    if callables or vectorizer.input != "content":
        raise unsupported(vectorizer, "no function of one's own, and the text itself", ", ".join(callables))
    if np.dtype(vectorizer.dtype).kind not in "iu" and np.dtype(vectorizer.dtype) != np.float64:
        raise unsupported(vectorizer, "dtype float64 or an integer one", str(vectorizer.dtype))


TEXTS: dict[str, Transform] = {
    "CountVectorizer": _vectorize,
    "TfidfVectorizer": _vectorize,
    "HashingVectorizer": _vectorize,
    "TfidfTransformer": _weigh,
}
