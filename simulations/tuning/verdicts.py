"""Verdicts on the settings of a search, from its finished runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simulations.tuning.finished import TuningRun
from simulations.tuning.grid import Candidate
from simulations.tuning.judgement import Array, level_for, paired_difference
from simulations.tuning.result import FileScore, JudgedSetting, Verdict

Runs = Mapping[tuple[int, int], TuningRun]
"""(inner fold, seed) -> run of one setting."""


@dataclass(frozen=True)
class Judge:
    """Judge of settings by the runs of the file's own.

    Attributes:
        file_runs: finished runs of the file's own settings.
        folds: inner folds of the search.
        seeds: seeds of the search.
        questions: questions whose headline metrics judge.
        settings: number of settings in the search, on which the level of the intervals depends.
    """

    file_runs: Runs
    folds: Sequence[int]
    seeds: Sequence[int]
    questions: Sequence[str]
    settings: int

    @property
    def level(self) -> float:
        """Level of every interval."""
        return level_for(self.settings)

    def file_scores(self, metrics: Mapping[str, str]) -> dict[str, FileScore]:
        """Question -> score of the file's own settings, given the headline metric of every question."""
        return {
            question: FileScore(
                metric=metrics[question],
                mean=_mean([run.scores.get(question) for run in self.file_runs.values()]),
            )
            for question in self.questions
        }

    def judge(self, candidate: Candidate, runs: Runs) -> JudgedSetting:
        """Compare a setting with the file's own, pair by pair."""
        by_question = {question: self._differences(runs, question) for question in self.questions}
        difference = paired_difference(_over_questions(list(by_question.values())), self.level)
        failed = sum(not run.trained for run in runs.values())
        verdict: Verdict = "better" if difference.low > 0 else "not better"
        if failed:
            verdict = "not trained"
        elif math.isnan(difference.low):
            verdict = "undecided"
        return JudgedSetting(
            settings=dict(candidate.changes),
            digest=candidate.agreement.digest,
            difference=difference.mean,
            low=difference.low,
            high=difference.high,
            pairs=difference.pairs,
            failed=failed,
            questions={
                question: paired_difference(table, self.level).mean for question, table in by_question.items()
            },
            verdict=verdict,
        )

    def _differences(self, runs: Runs, question: str) -> Array:
        """Differences [folds, seeds] in one question; NaN where a score is missing."""
        return np.array(
            [
                [
                    _minus(runs.get((fold, seed)), self.file_runs.get((fold, seed)), question)
                    for seed in self.seeds
                ]
                for fold in self.folds
            ]
        )


def choose(settings: Sequence[JudgedSetting]) -> JudgedSetting | None:
    """Choose the better setting whose interval begins highest; None where none is better."""
    better = [setting for setting in settings if setting.verdict == "better"]
    return max(better, key=lambda setting: setting.low or 0.0, default=None)


def _minus(run: TuningRun | None, file_run: TuningRun | None, question: str) -> float:
    score = None if run is None else run.scores.get(question)
    file_score = None if file_run is None else file_run.scores.get(question)
    return math.nan if score is None or file_score is None else score - file_score


def _over_questions(tables: Sequence[Array]) -> Array:
    """Mean [folds, seeds] over the questions that have a difference."""
    stacked = np.stack(tables)
    defined = (~np.isnan(stacked)).sum(0)
    mean: Array = np.where(defined > 0, np.nansum(stacked, axis=0) / np.maximum(defined, 1), np.nan)
    return mean


def _mean(figures: Sequence[float | None]) -> float | None:
    defined = [figure for figure in figures if figure is not None]
    return float(np.mean(defined)) if defined else None
