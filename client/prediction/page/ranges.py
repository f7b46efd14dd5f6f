"""Intervals, bounds and possible outcomes in the sentences of a page."""

from collections.abc import Mapping, Sequence

from client.prediction.page.words import in_a_hundred, minus, spoken

NOT = "no "
"""Beginning of a label that does not happen, in the sets of labels."""


def between(interval: tuple[float, float]) -> str:
    """Write the interval of a probability as numbers of 100 patients."""
    low, high = (in_a_hundred(end).removesuffix(" in 100") for end in interval)
    return f"{low} in 100" if low == high else f"{low} to {high} in 100"


def bound_sentence(bound: Mapping[str, float], unit: str) -> str:
    """Write lower bounds of a time, by share of cases, as a sentence."""
    parts = [f"in {share} of cases later than {time:.3g} {unit}" for share, time in bound.items()]
    return f"The event comes {', '.join(parts)}." if parts else ""


def class_sentence(possible: Mapping[str, Sequence[str]], classes: Sequence[str]) -> str:
    """Write the classes that hold the outcome in the largest share of cases as a sentence."""
    if not possible:
        return ""
    share, names = _widest(possible)
    if not names:
        return (
            f"With {share} certainty none of the classes fits: the patient is unlike those the model knows."
        )
    if len(names) == len(classes):
        return f"With {share} certainty nothing is ruled out."
    return f"With {share} certainty: {' or '.join(map(_quoted, names))}."


def label_sentence(possible: Mapping[str, Sequence[str]], labels: Sequence[str]) -> str:
    """Write which labels are expected, ruled out or open, in the largest share of cases."""
    if not possible:
        return ""
    share, names = _widest(possible)
    sides = {label: (label in names, f"{NOT}{label}" in names) for label in labels}
    groups = {
        "expected": [label for label, side in sides.items() if side == (True, False)],
        "ruled out": [label for label, side in sides.items() if side == (False, True)],
        "open": [label for label, side in sides.items() if side[0] == side[1]],
    }
    if len(groups["open"]) == len(labels):
        return f"With {share} certainty nothing is ruled out."
    parts = [f"{words} {', '.join(map(spoken, group))}" for words, group in groups.items() if group]
    return f"With {share} certainty: {'; '.join(parts)}."


def number_sentence(interval: Mapping[str, tuple[float, float]], unit: str) -> str:
    """Write the ranges of a number, by share of cases, as a sentence."""
    parts = [
        f"in {share} of cases between {minus(f'{low:.3g}')} and {minus(f'{high:.3g}')} {unit}".rstrip()
        for share, (low, high) in interval.items()
    ]
    return f"It is {', '.join(parts)}." if parts else ""


def _widest(possible: Mapping[str, Sequence[str]]) -> tuple[str, Sequence[str]]:
    share = max(possible, key=lambda text: float(text.rstrip("%")))
    return share, possible[share]


def _quoted(name: str) -> str:
    return f"\u201c{spoken(name)}\u201d"
