"""Every bad input is one sentence with its place and remedy, and no patient appears in it."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tomli_w

from client.data.cohort import passport
from client.data.inspection import inspect_cohort, read_cohort
from client.site_folder.policy import Policy
from client.site_folder.site_file import read_site_file
from common.agreement.federation import Federation
from common.agreement.privacy_settings import Privacy
from common.errors import InputError

CANARIES = ("CANARY-8371", "98765.4321", "98765", "CANARYLEVEL", "-4321.5")
PATIENTS = 12


def spoil(table: str, column: str, value: object) -> Callable[[Any], None]:
    """A change of the first patient's cell."""

    def change(site: Any) -> None:
        getattr(site, table).loc[0, column] = value

    return change


def drop(table: str, column: str) -> Callable[[Any], None]:
    def change(site: Any) -> None:
        setattr(site, table, getattr(site, table).drop(columns=column))

    return change


def rows(table: str, keep: list[int]) -> Callable[[Any], None]:
    def change(site: Any) -> None:
        setattr(site, table, getattr(site, table).iloc[keep])

    return change


def strangers(site: Any) -> None:
    site.rna["patient"] = "other-" + site.rna["patient"]


def mapped(table: str, ours: str, theirs: str) -> Callable[[Any], None]:
    def change(site: Any) -> None:
        site.site["columns"] = {table: {ours: theirs}}

    return change


ONE_ROW_TWICE = [0, *range(PATIENTS - 1), 0]
BAD: dict[str, tuple[Any, ...]] = {
    "missing column": (drop("clinical", "age"), "clinical.csv, column age", "is missing", "or map it under"),
    "wrong mapping": (
        mapped("clinical", "age", "years"),
        "clinical.csv, column years",
        "is missing",
        "map it",
    ),
    "mapping of no column": (
        mapped("rna", "G9", "g9"),
        "columns.rna.G9",
        "is not a column",
        "remove or rename",
    ),
    "missing id": (drop("rna", "patient"), "rna.parquet, column patient", "is missing", "add it"),
    "wrong unit": (spoil("clinical", "age", 98765.4321), "column age", "0 to 120 years", "check the unit"),
    "duplicate patient": (
        rows("clinical", ONE_ROW_TWICE),
        "column patient",
        "repeat a patient",
        "one row per",
    ),
    "row without patient": (
        spoil("outcomes", "patient", None),
        "column patient",
        "without a patient",
        "drop",
    ),
    "negative time": (
        spoil("outcomes", "months", -4321.5),
        "column months",
        "negative times",
        "correct or drop",
    ),
    "time in days": (
        spoil("outcomes", "months", 98765.4321),
        "column months",
        "600 months",
        "give times in months",
    ),
    "event without time": (
        spoil("outcomes", "months", None),
        "column months",
        "with an event",
        "complete it",
    ),
    "time without event": (
        spoil("outcomes", "died", None),
        "column died",
        "with a time",
        "recode it, with 1",
    ),
    "event neither 0 nor 1": (
        spoil("outcomes", "died", 98765),
        "column died",
        "other than 0 and 1",
        "recode",
    ),
    "toxicity neither 0 nor 1": (
        spoil("outcomes", "gut", 98765),
        "column gut",
        "other than 0 and 1",
        "recode",
    ),
    "unknown category": (
        spoil("clinical", "stage", "CANARYLEVEL"),
        "column stage",
        "1, 2, NA",
        "recode them",
    ),
    "unknown class": (spoil("outcomes", "response", "CANARYLEVEL"), "column response", "0, 1", "recode them"),
    "empty table": (rows("clinical", []), "clinical.csv", "is empty", "export it again"),
    "empty outcomes": (rows("outcomes", []), "outcomes.csv", "is empty", "export it again"),
    "too few patients": (rows("outcomes", [0, 1, 2]), "outcomes.csv", "has 3 patients", "pool this site"),
    "text in numbers": (spoil("clinical", "crp", "CANARYLEVEL"), "column crp", "not numbers", "cells empty"),
    "date in numbers": (
        lambda site: setattr(site, "rna", site.rna.assign(G1=pd.Timestamp("2001-02-03"))),
        "rna.parquet, column G1",
        "not numbers",
        "cells empty",
    ),
    "infinite cell": (spoil("clinical", "crp", "inf"), "column crp", "infinite", "leave unknown cells empty"),
    "infinite in Parquet": (spoil("rna", "G1", -np.inf), "rna.parquet, column G1", "infinite", "cells empty"),
    "infinite time": (spoil("outcomes", "months", np.inf), "column months", "infinite", "cells empty"),
    "no patient in common": (strangers, "rna.parquet, column patient", "none of its", "same identifiers"),
    "missing fold": (
        lambda site: site.site.update(fold="f"),
        "outcomes.csv, column f",
        "missing",
        "correct fold",
    ),
    "other federation": (
        lambda site: site.site.update(approved="0" * 64),
        "approved",
        "not the one",
        "approve its",
    ),
    "unknown key": (
        lambda site: site.site.update(colums={}),
        "line 8, colums",
        "is no key",
        "correct its name",
    ),
    "unknown table": (
        lambda site: site.site["tables"].update(ct="ct.csv"),
        "tables.ct",
        "is not a table",
        "clinical, outcomes, rna",
    ),
    "missing file": (
        lambda site: site.site["tables"].update(rna="none.csv"),
        "none.csv",
        "no such file",
        "correct [tables]",
    ),
}


POLICIES: dict[str, tuple[dict[str, object], str, str]] = {
    "unknown key": ({"max_epsilon": 1.0}, "policy.max_epsilon", "is no key"),
    "negative noise": (
        {"minimum_noise_multiplier": -1.0},
        "policy.minimum_noise_multiplier",
        "0 or more",
    ),
    "infinite epsilon": ({"maximum_epsilon": float("inf")}, "policy.maximum_epsilon", "finite"),
    "no clipping": ({"maximum_clip_norm": 0.0}, "policy.maximum_clip_norm", "above 0"),
    "delta of one": ({"delta": 1.0}, "policy.delta", "below 1"),
    "unknown statistics": ({"statistics": ["CANARYLEVEL"]}, "policy.statistics.0", "declared, noised"),
}


def assert_says(error: InputError, *parts: str) -> None:
    sentence = str(error)
    for part in parts:
        assert part in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert not [canary for canary in CANARIES if canary in sentence]
    assert error.__cause__ is None


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_with_place_and_remedy(
    case: str, site_folder: Any, small_federation: Federation
) -> None:
    change, *parts = BAD[case]
    change(site_folder)
    with pytest.raises(InputError) as raised:
        read_cohort(site_folder.write(), small_federation)
    assert_says(raised.value, *parts)


@pytest.mark.parametrize(
    ("file", "content", "remedy"),
    [
        ("rna.parquet", b"CANARY-8371 98765.4321 \x00\xff\xfe", "export it again"),
        ("clinical.csv", b"\xff\xfe\x00CANARY-8371\n98765.4321", "save it as UTF-8"),
        ("outcomes.csv", b'patient,months\n"CANARY-8371,98765.4321', "export it again"),
        (
            "outcomes.csv",
            b"patient,months,died,response,skin,gut\n1,2,3,4,5,6,CANARY-8371\n",
            "double quotes",
        ),
        ("clinical.csv", b"", "export it again"),
    ],
)
def test_unreadable_file(
    file: str, content: bytes, remedy: str, site_folder: Any, small_federation: Federation
) -> None:
    folder = site_folder.write()
    (folder / file).write_bytes(content)
    with pytest.raises(InputError) as raised:
        read_cohort(folder, small_federation)
    assert_says(raised.value, file, remedy)


def test_damaged_metadata(site_folder: Any, small_federation: Federation) -> None:
    folder = site_folder.write()
    damage = {"index_columns": ["CANARY-8371"], "columns": [], "column_indexes": []}
    table = pq.read_table(folder / "rna.parquet").replace_schema_metadata({"pandas": json.dumps(damage)})
    pq.write_table(table, folder / "rna.parquet")
    with pytest.raises(InputError) as raised:
        read_cohort(folder, small_federation)
    assert_says(raised.value, "rna.parquet", "Parquet", "damaged", "export it again")


@pytest.mark.parametrize("content", [b"name = 'CANARY-8371", b"\xff\xfe", b"name = 'a'\n[tables]\n", b""])
def test_unusable_site_file(content: bytes, site_folder: Any, small_federation: Federation) -> None:
    folder = site_folder.write()
    (folder / "site.toml").write_bytes(content)
    with pytest.raises(InputError) as raised:
        read_cohort(folder, small_federation)
    assert_says(raised.value, "site.toml")


def test_every_problem_is_listed(site_folder: Any, small_federation: Federation) -> None:
    for case in ("wrong unit", "unknown category", "negative time", "infinite in Parquet"):
        BAD[case][0](site_folder)
    cohort, problems = inspect_cohort(site_folder.write(), small_federation)
    assert cohort is not None
    assert len(problems) == 4


@pytest.mark.parametrize("case", POLICIES)
def test_bad_policy_is_one_sentence_with_place_and_remedy(
    case: str, site_folder: Any, small_federation: Federation
) -> None:
    policy, *parts = POLICIES[case]
    site_folder.site["policy"] = policy
    with pytest.raises(InputError) as raised:
        read_site_file(site_folder.write(), small_federation)
    assert_says(raised.value, "site.toml", *parts, "; ")


def test_policy_is_a_table_that_may_be_left_out(site_folder: Any, small_federation: Federation) -> None:
    folder = site_folder.write()
    (folder / "site.toml").write_text(tomli_w.dumps(site_folder.site))
    assert read_site_file(folder, small_federation).policy == Policy()
    policy = {"maximum_epsilon": 3, "tasks": ["survival"], "statistics": ["declared"]}
    (folder / "site.toml").write_text(tomli_w.dumps(site_folder.site | {"policy": policy}))
    assert read_site_file(folder, small_federation).policy == Policy(
        maximum_epsilon=3.0, tasks=("survival",), statistics=("declared",)
    )


@pytest.mark.parametrize(
    ("setting", "value"),
    [("device", "gpu"), ("device", 0), ("precision", "float16"), ("deterministic", "often")],
)
def test_a_bad_device_is_one_sentence_with_place_and_remedy(
    setting: str, value: object, site_folder: Any, small_federation: Federation
) -> None:
    site_folder.site[setting] = value
    with pytest.raises(InputError) as raised:
        read_site_file(site_folder.write(), small_federation)
    assert_says(raised.value, f"site.toml, line 2, {setting}", "; ")


def test_a_device_may_be_left_to_the_machine(site_folder: Any, small_federation: Federation) -> None:
    file = read_site_file(site_folder.write(), small_federation)
    assert (file.device, file.deterministic, file.precision) == ("auto", False, "float32")


def test_privacy_is_not_computed_coarsely(site_folder: Any, small_federation: Federation) -> None:
    site_folder.site["precision"] = "bfloat16"
    assert read_site_file(site_folder.write(), small_federation).precision == "bfloat16"
    privacy = Privacy(noise_multiplier=1.0, sampling_rate=1.0, expected_batch_size=10)
    private = small_federation.model_copy(update={"privacy": privacy})
    with pytest.raises(InputError) as raised:
        read_site_file(site_folder.folder, private)
    assert_says(raised.value, "site.toml, line 2, precision", "too coarse", 'set it to "float32"')


def test_a_passport_names_columns_without_a_value_as_the_hospital_calls_them(
    site_folder: Any, small_federation: Federation
) -> None:
    assert passport(read_cohort(site_folder.write(), small_federation), small_federation)["warnings"] == []
    site_folder.clinical = site_folder.clinical.rename(columns={"crp": "CRP_mg"}).assign(
        CRP_mg=None, stage=None
    )
    site_folder.outcomes["skin"] = None
    site_folder.site["columns"] = {"clinical": {"crp": "CRP_mg"}}
    warnings: Any = passport(read_cohort(site_folder.write(), small_federation), small_federation)["warnings"]
    clinical, outcomes = warnings
    assert all(name in clinical for name in ("clinical.csv", "CRP_mg", "stage"))
    assert " age" not in clinical
    assert "skin" in outcomes


def test_a_passport_warns_of_a_task_in_which_nobody_has_an_event(
    site_folder: Any, small_federation: Federation
) -> None:
    site_folder.outcomes["died"] = 0
    warnings: Any = passport(read_cohort(site_folder.write(), small_federation), small_federation)["warnings"]
    (warning,) = warnings
    assert "survival" in warning
    assert "died" in warning
