"""Vectorizers of texts: the same bits as scikit-learn, whatever the text, and a missing one refused or filled."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils.murmurhash import murmurhash3_32

from penstock.artifact.native import Artifact
from penstock.artifact.packing.unfitted import demand_storable
from penstock.artifact.terms import murmur
from penstock.contract.contract import Output
from penstock.errors import ContractError, UnsupportedEstimator
from tests.engine.artifact.random_models import frame_columns, frame_features, packed, same
from tests.slow import seeded

WORDS = ["red", "Green", "BLUE", "café", "naïve", "Straße", "a", "of", "the", "don't", "x1", "10:30", "東京", "é", "İ"]


def vectorizer(rng: np.random.Generator) -> Any:
    shortest = int(rng.integers(1, 3))
    told: dict[str, Any] = {
        "lowercase": bool(rng.random() < 0.7),
        "ngram_range": (shortest, shortest + int(rng.integers(0, 3))),
        "binary": bool(rng.random() < 0.3),
        "strip_accents": [None, "ascii", "unicode"][rng.integers(3)],
        "analyzer": str(rng.choice(["word", "word", "char", "char_wb"])),
    }
    if told["analyzer"] == "word":
        told["stop_words"] = [None, "english", ["red", "x1"]][rng.integers(3)]
        told["token_pattern"] = [r"(?u)\b\w\w+\b", r"(?u)\b\w+\b", r"(\w)\w*", r"\S+"][rng.integers(4)]
    norm = [None, "l1", "l2"][rng.integers(3)]
    kind = rng.integers(4)
    if kind == 0:
        return CountVectorizer(**told)
    if kind == 1:
        return HashingVectorizer(
            n_features=int(rng.integers(3, 60)), alternate_sign=bool(rng.random() < 0.5), norm=norm, **told
        )
    weights = {"norm": norm, "use_idf": bool(rng.random() < 0.7), "sublinear_tf": bool(rng.random() < 0.5)}
    weights["smooth_idf"] = bool(rng.random() < 0.5)
    return (
        TfidfVectorizer(**told, **weights)
        if kind == 2
        else make_pipeline(CountVectorizer(**told), TfidfTransformer(**weights))
    )


def texts(rng: np.random.Generator, rows: int) -> np.ndarray:
    gaps = [" ", "  ", ", ", "\n", "-", " "]
    made = ["".join(f"{word}{rng.choice(gaps)}" for word in rng.choice(WORDS, rng.integers(0, 9))) for _ in range(rows)]
    return np.array([*made[:-3], "", "nothing that was seen", "red red red red"], dtype=object)


def assert_same_terms(steps: Any, artifact: Artifact, frame: pd.DataFrame) -> None:
    expected = steps.transform(frame)
    expected = expected.toarray() if hasattr(expected, "toarray") else expected
    slots = artifact.inputs(frame_columns(frame))
    width = expected.shape[1] - 1
    assert width > 0
    starts = [at for at in range(slots.shape[1] - width + 1) if same(slots[:, at : at + width], expected[:, :width])]
    assert starts != []


@seeded(16, 120)
def test_terms_are_those_of_scikit_learn_to_the_bit(seeds: range, tmp_path: Path) -> None:
    tried = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({"words": texts(rng, 60), "number": rng.normal(size=60)})
        steps = make_column_transformer((vectorizer(rng), "words"), ("passthrough", ["number"]))
        model = make_pipeline(steps, LogisticRegression())
        with suppress(ValueError):  # the stop words left nothing
            model.fit(frame, frame["number"] > 0)
        if not hasattr(model[-1], "classes_"):
            continue
        tried += 1
        asked = pd.DataFrame({"words": texts(rng, 50), "number": rng.normal(size=50)})
        artifacts = packed(model, tmp_path, frame_features(frame))
        found = [artifact.predict(frame_columns(asked)) for artifact in artifacts]
        np.testing.assert_allclose(found[0], model.predict_proba(asked), rtol=1e-12, atol=1e-12)
        assert len(found) == 1 or same(found[0], found[1])
        for artifact in artifacts:
            assert_same_terms(model[0], artifact, asked)
            assert same(artifact.predict(frame_columns(asked.iloc[:1]))[0], found[0][0])
            assert artifact.predict(frame_columns(asked.iloc[:0])).shape == (0, 2)
    assert tried > 0.8 * len(seeds)


def test_what_comes_behind_takes_the_terms(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"words": texts(rng, 80)})
    target = np.arange(80) % 3
    for last in (MultinomialNB(), make_pipeline(MaxAbsScaler(), LogisticRegression())):
        model = make_pipeline(make_column_transformer((TfidfVectorizer(), "words")), last).fit(frame, target)
        for artifact in packed(model, tmp_path, frame_features(frame)):
            found = artifact.predict(frame_columns(frame))
            np.testing.assert_allclose(found, model.predict_proba(frame), rtol=1e-12, atol=1e-12)


def test_counts_that_others_read_too_stay_counts_beside_their_weights(tmp_path: Path) -> None:
    frame = pd.DataFrame({"words": texts(np.random.default_rng(0), 80)})
    counts, line = make_column_transformer((CountVectorizer(), "words")), LogisticRegression()
    union = make_union(TfidfTransformer(), "passthrough")
    votes = VotingClassifier([("weighed", make_pipeline(TfidfTransformer(), line)), ("counted", line)], voting="soft")
    for model in (make_pipeline(counts, union, line), make_pipeline(counts, votes)):
        model.fit(frame, np.arange(80) % 2)
        for artifact in packed(model, tmp_path, frame_features(frame)):
            found = artifact.predict(frame_columns(frame))
            np.testing.assert_allclose(found, model.predict_proba(frame), rtol=1e-12, atol=1e-12)


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_any_text_has_the_hash_of_scikit_learn(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    assert murmur(data) == murmurhash3_32(data, 0)


def test_boosting_reads_the_terms_of_the_only_feature_which_nothing_changes_before(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"text": [" ".join(rng.choice(WORDS, 6)) for _ in range(120)]})
    boosting = LGBMClassifier(n_estimators=3, min_child_samples=3, verbose=-1)
    for terms in (CountVectorizer(), HashingVectorizer(n_features=64, norm=None)):
        model = make_pipeline(make_column_transformer((terms, "text")), boosting)
        model.fit(frame, frame["text"].str.contains("red"))
        for artifact in packed(model, tmp_path, frame_features(frame)):
            assert same(artifact.predict(frame_columns(frame)), model.predict_proba(frame))


def test_a_missing_text_is_refused_by_its_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"words": texts(rng, 60), "number": rng.normal(size=60)})
    steps = make_column_transformer((CountVectorizer(), "words"), ("passthrough", ["number"]))
    model = make_pipeline(steps, LogisticRegression()).fit(frame, frame["number"] > 0)
    asked = frame.copy()
    asked.loc[7, "words"] = None
    for artifact in packed(model, tmp_path, frame_features(frame)):
        with pytest.raises(ContractError, match="'words': expected a text"):
            artifact.predict(frame_columns(asked))
        assert [(one.row, one.feature) for one in artifact.refusals(frame_columns(asked))] == [(7, "words")]


@pytest.mark.slow
def test_what_is_not_packed_is_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"words": texts(np.random.default_rng(0), 60)})
    for one in (CountVectorizer(tokenizer=str.split), HashingVectorizer(), CountVectorizer(dtype=np.float32)):
        steps = make_column_transformer((one, "words"))
        model = make_pipeline(steps, LogisticRegression()).fit(frame, np.arange(60) % 2)
        with pytest.raises(UnsupportedEstimator, match=type(one).__name__):
            packed(model, tmp_path, frame_features(frame))


def test_a_function_of_ones_own_is_refused_before_the_fit() -> None:
    def storable(one: Any) -> None:
        demand_storable(
            make_pipeline(make_column_transformer((one, "words")), LogisticRegression()), Output("y", "classifier")
        )

    storable(TfidfVectorizer())
    with pytest.raises(UnsupportedEstimator, match="tokenizer"):
        storable(TfidfVectorizer(tokenizer=texts))
