from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from client.data.outcomes import folds, groups, read_labels
from client.data.tables import Table
from client.tables.checked import Checked
from common.errors import InputCode, InputError
from common.tasks.labels import BINARY
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.task import Task
from common.tasks.toxicity import ToxicityTask

SURVIVAL = SurvivalTask(name="survival", time="months", event="died", unit="months", longest=600)
RESPONSE = ResponseTask(name="response", label="response", classes=("PD", "PR", "CR"))
TOXICITY = ToxicityTask(name="toxicity", labels=("skin", "gut"))
GAP = float("nan")


def outcomes(own: dict[str, str] | None = None, **columns: list[Any]) -> Table:
    return Table(Path("outcomes.csv"), pd.DataFrame(columns), own or {})


def labels(
    task: Task, own: dict[str, str] | None = None, **columns: list[Any]
) -> tuple[Any, list[InputError]]:
    read = read_labels(outcomes(own, **columns), task)
    return read.value, list(read.problems)


def test_survival_is_time_and_event() -> None:
    found, problems = labels(SURVIVAL, months=[3.5, 600, 0], died=[1, 0, 1])
    assert found.tolist() == [[3.5, 1], [600, 0], [0, 1]]
    assert not problems


def test_survival_is_known_whole_or_not_at_all() -> None:
    """A patient whose follow-up never began has an event column of 0 and no time."""
    found, problems = labels(SURVIVAL, months=[GAP, 4.0, GAP], died=[0, 1, GAP])
    np.testing.assert_array_equal(found, [[GAP, GAP], [4, 1], [GAP, GAP]])
    assert not problems


@pytest.mark.parametrize(
    ("months", "died", "says"),
    [
        (-0.1, 1, "outcomes.csv, column months: has negative times; correct or drop them."),
        (
            600.1,
            0,
            "outcomes.csv, column months: has times above the plausible 600 months; give times in months, or declare "
            "their unit under [intake] in site.toml.",
        ),
        (GAP, 1, "outcomes.csv, column months: is empty for patients with an event; complete it."),
        (5, GAP, "outcomes.csv, column died: is empty for patients with a time; " + BINARY + "."),
        (5, 3, "outcomes.csv, column died: has cells other than 0 and 1; " + BINARY + "."),
        (
            5,
            2,
            "outcomes.csv, column died: has 1 and 2 in place of 0 and 1; look up which is the event, and recode them "
            "in the file or under [intake] in site.toml.",
        ),
        (5, 0.5, "outcomes.csv, column died: has cells other than 0 and 1; " + BINARY + "."),
    ],
)
def test_survival_that_cannot_be(months: float, died: float, says: str) -> None:
    _, problems = labels(SURVIVAL, months=[3.0, months], died=[1.0, died])
    assert [str(problem) for problem in problems] == [says]


def test_a_response_is_the_place_of_its_class() -> None:
    found, problems = labels(RESPONSE, response=["CR", None, "PD", "PR"])
    np.testing.assert_array_equal(found, [[2], [GAP], [0], [1]])
    assert not problems


def test_a_class_nobody_agreed_on_is_named_by_its_column_only() -> None:
    found, problems = labels(RESPONSE, response=["CR", "CANARY-8371"])
    (problem,) = problems
    assert "1 cell is none of the categories PD, PR, CR" in str(problem)
    assert "CANARY" not in str(problem)
    assert np.isnan(found[1, 0])


def test_toxicities_are_known_one_by_one() -> None:
    found, problems = labels(TOXICITY, skin=[0, 1, GAP], gut=[GAP, 1, GAP])
    np.testing.assert_array_equal(found, [[0, GAP], [1, 1], [GAP, GAP]])
    assert not problems
    _, problems = labels(TOXICITY, skin=[0, 3], gut=[-1, 1])
    assert [problem.where for problem in problems] == [
        "outcomes.csv, column skin",
        "outcomes.csv, column gut",
    ]


def test_a_problem_names_the_hospitals_own_column() -> None:
    _, problems = labels(SURVIVAL, {"months": "OS_MONTHS"}, OS_MONTHS=[-1.0], months=[1.0], died=[1])
    assert [problem.where for problem in problems] == ["outcomes.csv, column OS_MONTHS"]


def test_folds_are_numbers_and_none_means_never_held_out() -> None:
    table = outcomes(months=[1, 2, 3], cv=[2, GAP, 0])
    numbered, without = folds(table, "cv"), folds(table, None)
    assert (numbered.value.tolist(), without.value.tolist()) == ([2, -1, 0], [-1, -1, -1])
    assert not (*numbered.problems, *without.problems)
    (problem,) = folds(outcomes(months=[1, 2], cv=[2.7, 0]), "cv").problems
    assert (problem.code, problem.where) == (InputCode.CONTENT_INVALID, "outcomes.csv, column cv")


def test_groups_fall_back_to_the_site() -> None:
    table = outcomes(months=[1, 2, 3], cancer=["BRCA", None, "LUAD"])
    assert groups(table, "cancer", "north") == Checked(("BRCA", "north", "LUAD"))
    assert groups(table, None, "north") == Checked(("north",) * 3)


def test_a_column_the_site_file_names_must_be_there() -> None:
    table = outcomes(months=[1, 2])
    numbered, named = folds(table, "cv"), groups(table, "cancer", "north")
    assert numbered.value.tolist() == [-1, -1]
    assert named.value == ("north",) * 2
    problems = (*numbered.problems, *named.problems)
    assert [problem.code for problem in problems] == [InputCode.CONTENT_INVALID] * 2
    assert [problem.where for problem in problems] == [
        "outcomes.csv, column cv",
        "outcomes.csv, column cancer",
    ]
