"""Record `tune.json`: settings of a search with their paired differences, and the choice.

It has no times, so that the same runs give the same bytes.
"""

from typing import Literal

from simulations.results.machine import Record, Score
from simulations.results.schema import FederationName

RESULT = "tune.json"


Verdict = Literal["better", "not better", "undecided", "not trained"]
"""Interval above 0; interval that is not; no interval yet; a run that could not be trained."""


class FileScore(Record):
    """Headline metric of one question with the file's own settings, mean over finished runs."""

    metric: str
    mean: Score


class JudgedSetting(Record):
    """Setting of the search beside the file's own.

    Attributes:
        settings: setting of the federation file -> value.
        digest: of the agreement with these settings.
        difference: mean paired difference in the headline metric, mean over questions; more is better.
        low: low end of the interval.
        high: high end of the interval.
        pairs: number of pairs of which both runs have a score.
        failed: number of runs that could not be trained.
        questions: question -> mean paired difference.
    """

    settings: dict[str, str]
    digest: str
    difference: Score
    low: Score
    high: Score
    pairs: int
    failed: int
    questions: dict[str, Score]
    verdict: Verdict


class TuningResult(Record):
    """Result of a search.

    Attributes:
        federation: name and digest of the file's own settings.
        changed: settings changed for the whole search.
        closed_fold: fold whose patients no run has seen.
        inner_folds: number of folds of the other patients.
        level: of every interval; all of them hold together at 95%.
        runs: number of runs of the whole search.
        finished: number of runs that are over.
        file_scores: question that judges -> score of the file's own settings.
        settings: settings in the order of the grid.
        chosen: settings of the better one whose interval begins highest; None where none is better.
    """

    schema_version: Literal[1] = 1
    cohort: str
    federation: FederationName
    changed: dict[str, str]
    closed_fold: int
    inner_folds: int
    seeds: tuple[int, ...]
    level: float
    runs: int
    finished: int
    file_scores: dict[str, FileScore]
    settings: tuple[JudgedSetting, ...]
    chosen: dict[str, str] | None

    @property
    def outcome(self) -> Literal["better", "none better", "undecided"]:
        """A setting is better, none is, or too few runs are over to say so."""
        if self.chosen is not None:
            return "better"
        undecided = any(setting.verdict == "undecided" for setting in self.settings)
        return "undecided" if undecided else "none better"

    @property
    def is_complete(self) -> bool:
        """Whether every run of the search is over."""
        return self.finished == self.runs
