"""A site folder of twelve patients that a test changes before it is written."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w

from common.federation import Federation, Participant
from common.schema import Modality, Plausible, ResponseTask, SurvivalTask, ToxicityTask

PATIENTS = 12


@pytest.fixture
def small_federation() -> Federation:
    return Federation(
        name="test",
        modalities=(
            Modality(
                name="clinical",
                node="clinical",
                columns=("age", "crp"),
                categories={"stage": ("1", "2", "NA")},
                ranges={"age": Plausible(unit="years", low=0, high=120)},
            ),
            Modality(name="rna", node="gene", columns=("G1", "G2"), clip=(-5, 5), transform="signed_log"),
        ),
        tasks=(
            SurvivalTask(name="survival", time="months", event="died", unit="months", longest=600),
            ResponseTask(name="response", label="response", classes=("0", "1")),
            ToxicityTask(name="toxicity", labels=("skin", "gut")),
        ),
        participants=(Participant(name="north"),),
    )


class Site:
    """A site folder whose tables a test spoils before writing them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        patients = ["CANARY-8371", *(f"p{number}" for number in range(1, PATIENTS))]
        place = np.arange(PATIENTS)
        self.outcomes = pd.DataFrame(
            {
                "patient": patients,
                "months": 3.0 + place,
                "died": (place + 1) % 2,
                "response": place % 2,
                "skin": 0,
                "gut": 1,
                "fold": place % 3,
            }
        ).astype(object)
        self.clinical = pd.DataFrame(
            {"patient": patients, "age": 50.0 + place, "crp": 1.5 * place, "stage": ["1", "2", "NA"] * 4}
        ).astype(object)
        self.rna = pd.DataFrame({"patient": patients, "G1": place - 4.0, "G2": 1e6})
        self.site: dict[str, Any] = {
            "name": "north",
            "tables": {"outcomes": "outcomes.csv", "clinical": "clinical.csv", "rna": "rna.parquet"},
        }

    def write(self) -> Path:
        self.outcomes.to_csv(self.folder / "outcomes.csv", index=False)
        self.clinical.to_csv(self.folder / "clinical.csv", index=False)
        self.rna.to_parquet(self.folder / "rna.parquet", index=False)
        (self.folder / "site.toml").write_text(tomli_w.dumps(self.site))
        return self.folder


@pytest.fixture
def site_folder(tmp_path: Path) -> Site:
    return Site(tmp_path)
