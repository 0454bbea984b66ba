"""Model cards as text: the sections of a card, as Markdown or as one HTML page that loads nothing."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.artifact.conformal import Conformal
from penstock.contract.contract import Output
from penstock.declare.metrics import Task, measure_of
from penstock.quantity import counted, measured
from penstock.releases.cards import Card, MetricValue, Rows
from penstock.releases.entry import LedgerEntry

PAGE = Path(__file__).parent / "card.html"
PLOT_ALT: dict[Task, str] = {
    "binary": "ROC, precision and recall, and calibration on the held-out rows",
    "multiclass": "confusion of the classes on the held-out rows",
    "regression": "residuals on the held-out rows",
    "binary_scores": "ROC, precision and recall, and the scores of each class on the held-out rows",
    "multiclass_scores": "confusion of the classes on the held-out rows",
    "values": "predicted and actual values of the held-out rows",
}


@dataclass(frozen=True)
class Section:
    """A heading, sentences, and a table of text cells (its first row is the header)."""

    title: str
    text: str = ""
    table: Sequence[Sequence[str]] = ()


def markdown(card: Card, entry: LedgerEntry | None = None) -> str:
    """The card as Markdown, without its plot."""
    parts = [f"# {card.model}", card.purpose]
    for section in sections(card, entry):
        parts.append(f"## {section.title}")
        if section.text:
            parts.append(section.text)
        if section.table:
            header, *rows = section.table
            lines = [header, ["---"] * len(header), *rows]
            parts.append("\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines))
    return "\n\n".join(parts) + "\n"


def html(card: Card, entry: LedgerEntry | None = None) -> str:
    """The card as one HTML page that loads nothing."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # 1.3 MB that a replica needs only for a card

    templates = Environment(
        loader=FileSystemLoader(PAGE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return templates.get_template(PAGE.name).render(
        card=card,
        plot=base64.b64encode(card.plot).decode(),
        contributions=base64.b64encode(card.contributions_plot).decode(),
        curves=base64.b64encode(card.curves_plot).decode(),
        alt=PLOT_ALT[card.task],
        sections=sections(card, entry),
    )


def sections(card: Card, entry: LedgerEntry | None) -> Iterator[Section]:
    """The card's sections, in reading order."""
    if entry is not None:
        yield _release(entry)
    yield Section("Made from", "", (("", "window", "rows", "snapshot"), *_windows(card)))
    if card.outside:
        said = "Rows, in training and held out, with values that the service would refuse."
        yield Section(
            "Outside the bounds of the request",
            said,
            (("field", "rows"), *((name, f"{count:,}") for name, count in card.outside)),
        )
    yield Section(
        "Identity",
        "",
        (
            ("", ""),
            ("estimator", card.estimator),
            ("continues", card.continues or "nothing: trained anew"),
            ("output", f"{card.output.name}: {_answered(card.output)}"),
            ("artifact", f"{card.artifact}, {card.artifact_bytes:,} bytes"),
            ("contract", card.contract),
            ("code", card.code_version),
            ("owner", card.owner or "none declared"),
        ),
    )
    base = "" if card.base_rate is None else f" The base rate alone reaches {card.metric} {measured(card.base_rate)}."
    yield Section(
        f"On the held-out period {card.period}",
        f"{_outcome(card)}; intervals are 95% bootstrap.{base}",
        (("metric", "value", "95% interval"), *(_measured(one)[:3] for one in card.metrics)),
    )
    bounds = ((card.metric, card.floor, card.margin), *card.also)
    yield Section(
        "Gate",
        "A candidate must be as good as the bound, and not worse than the current release by more than the margin.",
        (("metric", "better", "bound", "margin"), *(_bound(*one) for one in bounds)),
    )
    if card.chosen or card.curves:
        yield _fit(card)
    if card.conformal is not None:
        yield _sureness(card, card.conformal)
    if card.slices:
        floor = "" if card.slice_floor is None else f" The gate demands {card.slice_floor} on each."
        header = (card.slice_by, card.metric, "95% interval", "rows")
        yield Section(f"By {card.slice_by}", floor.strip(), (header, *(_measured(one) for one in card.slices)))
    yield Section(
        "Parity",
        f"The artifact gives the estimator's own answers on all {counted(card.holdout.rows, 'held-out row')}: the"
        f" largest difference is {card.parity:g}, allowed is {card.parity_allowed:g}.",
    )
    if not card.packed:
        further = ", ".join(card.trusted_types)
        yield Section(
            "Not packed",
            f"{card.library or 'The estimator itself'} predicts in every replica, which is slower"
            + (f": one row alone takes about {card.us_per_row:,.0f} us." if card.us_per_row else ".")
            + (
                f" Its file may hold these further types, whose code runs in every replica: {further}."
                if further
                else ""
            ),
        )
    yield _features(card)
    yield Section(
        "Request",
        "",
        (
            ("field", "type", "required", "bounds", "meaning"),
            *((f.name, f.type, "yes" if f.required else "no", f.bounds, f.meaning) for f in card.request),
        ),
    )
    yield Section("Lookups", "", (("lookup", "table", "joined by", "as of", "gives", "no row means"), *_lookups(card)))


def _sureness(card: Card, conformal: Conformal) -> Section:
    made = (
        f"An interval is the prediction, {conformal.quantile:.6g} {card.output.unit}".rstrip() + " less and more."
        if card.task == "regression"
        else f"A set holds each class, if any, with a probability of at least {1 - conformal.quantile:.6g}."
    )
    said = (
        f"{made} Made on {conformal.rows:,} of the held-out rows so that {conformal.level:.0%} of outcomes are held"
        f" (split-conformal). Of the {card.coverage_rows:,} others {card.coverage or 0.0:.2%} are."
    )
    return Section("How sure it is", said)


def _fit(card: Card) -> Section:
    rows = [("chosen", name, value) for name, value in card.chosen]
    rows += [
        ("curve", name, f"{values[0]:.6g} to {values[-1]:.6g} in {len(values):,} iterations")
        for name, values in card.curves.items()
        if values
    ]
    said = "By the model's own fit function, on training rows alone."
    return Section("Fit", said, (("", "name", "value"), *rows))


def _features(card: Card) -> Section:
    ranked = sorted(card.features, key=lambda feature: -feature.importance)
    said = (
        f"By how much {card.metric} gets worse when the feature's values are shuffled among"
        f" {counted(card.importance_rows, 'held-out row')}: mean and standard deviation of the shuffles."
    )
    explains = any(feature.contribution is not None for feature in ranked)
    if explains:
        said += " Contribution: the mean absolute one to the raw scores of held-out rows."
    rows = [
        (
            f.name,
            f"{f.importance:+.4f}",
            f"{f.deviation:.4f}",
            *((f"{f.contribution or 0.0:.4f}",) if explains else ()),
            f.kind,
            f.meaning,
        )
        for f in ranked
    ]
    header = ("feature", "importance", "±", *(("contribution",) if explains else ()), "kind", "meaning")
    return Section("Features, by importance", said, (header, *rows))


def _release(entry: LedgerEntry) -> Section:
    gate = entry.gate
    said = [f"Release {entry.release}, {entry.action} at {entry.at:%Y-%m-%d %H:%M} UTC by {entry.who}"]
    said[0] += f": {entry.why}."
    said.append("It replaced nothing." if entry.replaced is None else f"It replaced release {entry.replaced}.")
    rows = [(str(name), _plain(value)) for name, value in gate.items() if value not in (None, [], {}, ())]
    return Section("Release", " ".join(said), (("gate", "finding"), *rows) if rows else ())


def _windows(card: Card) -> Iterator[tuple[str, str, str, str]]:
    kinds: tuple[tuple[str, Rows], ...] = (("trained on", card.training), ("judged on", card.holdout))
    for name, rows in kinds:
        taken = f"{rows.rows:,}"
        if rows is card.training and card.sampled is not None:
            taken = f"a sample of {card.sampled:,} of {taken}"
        yield name, f"{rows.since:%Y-%m-%d} up to {rows.until:%Y-%m-%d}", taken, rows.snapshot


def _outcome(card: Card) -> str:
    rows = counted(card.holdout.rows, "row")
    if card.task in ("binary", "binary_scores"):
        return f"Outcome in {card.outcome_rate:.1%} of {rows}"
    return (
        f"{rows}, mean outcome {card.outcome_rate:.4g} {card.output.unit}".rstrip()
        if card.task == "regression"
        else rows
    )


def _answered(output: Output) -> str:
    if output.values:
        return ", ".join(f"{value.name} ({value.unit})" if value.unit else value.name for value in output.values)
    said = ", ".join(output.classes) or output.unit or output.kind
    return f"{said}; decision scores, no probabilities" if output.scores else said


def _bound(metric: str, bound: float, margin: float) -> tuple[str, str, str, str]:
    measure = measure_of(metric)
    better = "" if measure is None else "higher" if measure.higher_is_better else "lower"
    return metric, better, f"{bound:g}", f"{margin:g}"


def _measured(one: MetricValue) -> tuple[str, str, str, str]:
    value = "unknown" if one.value is None else measured(one.value)
    interval = "" if one.low is None or one.high is None else f"{measured(one.low)} to {measured(one.high)}"
    return one.name, value, interval, f"{one.rows:,}"


def _lookups(card: Card) -> Iterator[tuple[str, ...]]:
    for lookup in card.lookups:
        yield (
            lookup.name,
            lookup.table,
            ", ".join(f"{column} = {field}" for column, field in lookup.key.items()),
            f"{lookup.as_of[0]} ≤ {lookup.as_of[1]}" if lookup.as_of else "",
            ", ".join(f"{column.name} ({column.unit or column.kind})" for column in lookup.columns),
            "missing values" if lookup.missing == "null" else "a refused request",
        )


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(found)}" for name, found in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return measured(value) if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
