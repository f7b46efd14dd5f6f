"""A comparison in words: a table for the terminal, and a page."""

from collections.abc import Sequence

from markupsafe import Markup

from common.counting import counted
from common.pages.document import PageSection, document
from common.pages.parts import bullets, note, paragraph
from common.pages.table import PageTable, TableCell, table
from simulations.comparing.pairing import FigureDifference, Paired
from simulations.results.schema import ARM_NAMES, MISSING

_HEADS = ("figure", "arm", "first", "second", "difference", "95% interval", "pairs")


def comparison_text(comparison: Paired) -> str:
    """Lay out a comparison for the terminal, for 80 columns."""
    lines = [f"first:  {comparison.first}", f"second: {comparison.second}"]
    lines += [f"  {key}: {value} / {other}" for key, value, other in comparison.settings]
    if comparison.reasons:
        return "\n".join([*lines, *(f"Not paired: {reason}." for reason in comparison.reasons)])
    for difference in comparison.differences:
        lines.append(f"{_name(difference)}:")
        lines.append(
            f"  {difference.first:.3f} / {difference.second:.3f}, difference {difference.difference:+.3f} "
            f"{_interval(difference)}, {counted(difference.pairs, comparison.unit)}"
        )
    return "\n".join([*lines, "", *findings(comparison)])


def findings(comparison: Paired) -> list[str]:
    """Say in sentences what the comparison shows."""
    if comparison.reasons:
        return [f"They cannot be paired: {reason}." for reason in comparison.reasons]
    clear = [entry for entry in comparison.differences if entry.verdict in ("better", "worse")]
    sentences = [
        f"{_name(entry)}: the first is {entry.verdict} by {abs(entry.difference):.3f} {_interval(entry)}."
        for entry in clear
    ]
    few = sum(entry.verdict == "unknown" for entry in comparison.differences)
    open_ = len(comparison.differences) - len(clear) - few
    if open_:
        sentences.append(f"Of {counted(open_, 'figure')} the interval holds 0: no difference is shown.")
    if few:
        sentences.append(
            f"{counted(few, 'figure')} of one {comparison.unit} alone: a difference without an interval."
        )
    return sentences


def comparison_page(comparison: Paired) -> str:
    """Render a comparison as one page of HTML that fetches nothing."""
    sections = [PageSection("Findings", [_findings(comparison)])]
    if comparison.differences:
        sections.append(
            PageSection("Paired differences", [table(_differences(comparison)), _how(comparison)])
        )
    if comparison.settings:
        sections.append(PageSection("Settings that differ", [table(_settings(comparison))]))
    return document(
        "Comparison",
        sections,
        kind="consilium comparison",
        lead=[paragraph(f"First: {comparison.first}. Second: {comparison.second}.")],
        footer="Made of the figures of both; no patient's row is here.",
    )


def _findings(comparison: Paired) -> Markup:
    if comparison.reasons:
        return note(" ".join(findings(comparison)), "warning")
    return bullets(findings(comparison), findings=True)


def _differences(comparison: Paired) -> PageTable:
    return PageTable(
        _HEADS,
        [_row(difference) for difference in comparison.differences],
        "First minus second, over the pairs that both have",
        name="differences",
        words=frozenset({1, 5}),
        marked=frozenset(
            number
            for number, difference in enumerate(comparison.differences)
            if difference.verdict in ("better", "worse")
        ),
    )


def _row(difference: FigureDifference) -> Sequence[TableCell | str]:
    return (
        difference.name,
        _arm(difference),
        *(
            TableCell(f"{figure:.3f}", figure)
            for figure in (difference.first, difference.second, difference.difference)
        ),
        _interval(difference),
        str(difference.pairs),
    )


def _how(comparison: Paired) -> Markup:
    if comparison.unit == "fold":
        text = (
            "Folds share training patients: the intervals are those of the corrected resampled t-test (Nadeau & "
            "Bengio 2003). No correction is made for the number of figures."
        )
    else:
        text = (
            "Hospitals count alike, whatever their size; the interval is that of the t-test over hospitals. Losses "
            "are as the hospitals told them, on a grid and perhaps with noise."
        )
    return paragraph(text, quiet=True)


def _settings(comparison: Paired) -> PageTable:
    rows = [list(setting) for setting in comparison.settings]
    caption = "Keys of the two federation files with other values"
    return PageTable(("key", "first", "second"), rows, caption, name="settings", words=frozenset({1, 2}))


def _name(difference: FigureDifference) -> str:
    arm = _arm(difference)
    return f"{difference.name} ({arm})" if arm else difference.name


def _arm(difference: FigureDifference) -> str:
    return {str(arm): name for arm, name in ARM_NAMES.items()}.get(difference.arm, difference.arm)


def _interval(difference: FigureDifference) -> str:
    if difference.low is None or difference.high is None:
        return MISSING
    return f"({difference.low:+.3f} to {difference.high:+.3f})"
