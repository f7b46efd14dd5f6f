"""Sentences on hospitals without a part, without a model of their own or without a figure."""

from collections.abc import Iterable, Mapping

from common.counting import counted
from simulations.report.plots.style import readable
from simulations.report.words.statement import Statement
from simulations.results.reasons import NO_LABELS, Absent, Cause, Lacking, Reason
from simulations.results.schema import SimulationResult

_THINGS: dict[Lacking, str] = {
    "part": "no part in the federated training",
    "model": "no network of its own",
    "linear-model": "no linear model of its own",
    "figure": "no figure of its own patients",
}

MOST_NAMES = 10
"""Most hospitals that a sentence names."""


def absence_sentences(absent: Iterable[Absent], run: str) -> list[str]:
    """Sentences on the hospitals without a part in a run, or in some of its rounds."""
    whole: dict[Cause, list[str]] = {}
    some: list[str] = []
    for hospital in absent:
        if hospital.rounds:
            missed = counted(len(hospital.rounds), "round")
            some.append(f"{hospital.site} had no part in {missed} of {run}: {hospital.text}")
        else:
            whole.setdefault(Cause(code=hospital.code, text=hospital.text), []).append(hospital.site)
    return [f"{_names(sites)} had no part in {run}: {cause.text}" for cause, sites in whole.items()] + some


def reason_sentences(reasons: Mapping[str, Mapping[str, Iterable[Reason]]]) -> list[str]:
    """Sentences on hospitals without labels or without a model of their own.

    Hospitals alike are named together. `absence_sentences` has those without a part for another cause.

    Args:
        reasons: task -> hospital -> reasons.
    """
    things: dict[tuple[str, str, tuple[int, ...], Cause], list[Lacking]] = {}
    for task, by_site in reasons.items():
        for site, of_site in by_site.items():
            for reason in of_site:
                if reason.lacks != "figure" and (reason.lacks != "part" or reason.code == NO_LABELS.code):
                    cause = Cause(code=reason.code, text=reason.text)
                    things.setdefault((task, site, reason.folds, cause), []).append(reason.lacks)
    sites: dict[tuple[str, tuple[int, ...], Cause, tuple[Lacking, ...]], list[str]] = {}
    for (task, site, folds, cause), lacks in things.items():
        sites.setdefault((task, folds, cause, tuple(dict.fromkeys(lacks))), []).append(site)
    tasks: dict[tuple[tuple[str, ...], tuple[int, ...], Cause, tuple[Lacking, ...]], list[str]] = {}
    for (task, folds, cause, without), names in sites.items():
        tasks.setdefault((tuple(names), folds, cause, without), []).append(readable(task))
    return [
        f"{_names(names)}: {', '.join(_THINGS[thing] for thing in without)} for {', '.join(of)} in "
        f"{'fold' if len(folds) == 1 else 'folds'} {', '.join(map(str, folds))}. {cause.text}"
        + (" A mean over hospitals alone is without it." if set(without) & {"model", "linear-model"} else "")
        for (names, folds, cause, without), of in tasks.items()
    ]


def figure_gaps(result: SimulationResult, task: str) -> list[Statement]:
    """Statements on the hospitals whose own patients have no figure in the federated model."""
    sites: dict[Cause, list[str]] = {}
    for site, scores in result.sites.get(task, {}).items():
        for reason in scores.reasons:
            if reason.lacks == "figure":
                sites.setdefault(Cause(code=reason.code, text=reason.text), []).append(site)
    return [
        Statement(cause.code, f"{_names(names)}: {_THINGS['figure']}. {cause.text}")
        for cause, names in sites.items()
    ]


def _names(names: Iterable[str]) -> str:
    everyone = list(names)
    if len(everyone) <= MOST_NAMES:
        return ", ".join(everyone)
    return f"{', '.join(everyone[:MOST_NAMES])} and {counted(len(everyone) - MOST_NAMES, 'other hospital')}"
