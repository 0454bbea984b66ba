"""How contributions are printed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from penstock.journal.explaining import Reason
    from penstock.journal.moved import Move


def explained_lines(one: "Reason", most: int) -> list[str]:
    """One prediction: its score, then the features that contributed most to it (0: all), and their values."""
    entry, why = one.entry, one.why
    answer = msgspec.json.decode(entry.answer)
    lines = [f"{entry.id}  {entry.model}, release {entry.release}: {_predicted(answer['prediction'])}"]
    for explained, part in why.of_all().items():
        lines.append(
            f"  raw score of {explained}: {part.raw_score:+.4f} = base value {part.base_value:+.4f} and contributions"
            + ("" if why.explained_by == "exact" else ", in comparison with training rows")
        )
        largest = part.largest_first()
        shown = largest[:most] if most else largest
        width = max(len(name) for name, _ in largest)
        lines += [f"  {amount:+10.4f}  {name:<{width}}  {_value(one.values, name)}" for name, amount in shown]
        if rest := largest[len(shown) :]:
            more = f"{len(rest)} more feature{'s' * (len(rest) > 1)}"
            lines.append(f"  {sum(amount for _, amount in rest):+10.4f}  {more}")
    return lines


def moved_lines(moves: "list[Move]", first: int, second: int, most: int = 10) -> list[str]:
    """The features whose contributions moved most from one release to another."""
    width = max(len(move.feature) for move in moves)
    head = f"Contributions of {moves[0].predictions} predictions by release {first}, and by release {second}:"
    lines = [head, f"  {'feature':<{width}}  {'mean amount':>11}  {'then':>8}  {'mean move':>9}  {'largest':>8}"]
    return lines + [
        f"  {move.feature:<{width}}  {move.before:11.4f}  {move.after:8.4f}  {move.mean:9.4f}  {move.largest:8.4f}"
        for move in moves[:most]
    ]


def _predicted(prediction: Any) -> str:
    if isinstance(prediction, dict):
        return ", ".join(f"{name} {value}" for name, value in prediction.items())
    return str(prediction)


def _value(values: Mapping[str, Any], name: str) -> str:
    value = values[name]
    if value is None or value != value:  # noqa: PLR0124  NaN
        return "missing"
    return f"{value:g}" if isinstance(value, float) else str(value)
