"""Exact sums solved for two patients: count, sum and squares are two equations in two unknowns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flwr.app import RecordDict
from numpy.typing import NDArray

from client.rounds.split import split
from common.agreement.federation import Federation
from common.agreement.modalities import Modality, Plausible
from common.agreement.model_config import HierarchicalConfig
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Participant, Statistics, Training
from common.errors import RefusalCode
from common.messages.exchange import StatisticsReply
from common.tasks.response import ResponseTask
from tests.attacks.hospital import AttackedHospital

pytestmark = pytest.mark.attack

PATIENTS = 60
PUBLIC = Privacy(noise_multiplier=40.0, sampling_rate=1.0, expected_batch_size=49, statistics="public")


def training_patients(private: bool) -> NDArray[np.int64]:
    """Patients behind the sums; with privacy nobody is held back for validation."""
    return np.arange(PATIENTS) if private else np.asarray(split(PATIENTS, Training()).training)


def hospital_with(folder: Path, column: NDArray[np.float64], clip: Any, private: bool) -> AttackedHospital:
    """Make a hospital with the column, and one of ordinary values beside it."""
    rng = np.random.default_rng(7)
    names = [f"p{number}" for number in range(PATIENTS)]
    clinical = pd.DataFrame(
        {"patient": names, "marker": column, "age": rng.normal(62, 11, PATIENTS).round(1)}
    )
    outcomes = pd.DataFrame({"patient": names, "response": rng.choice(["no", "yes"], PATIENTS)})
    ranges = {name: Plausible(low=0, high=1000, typical=(20, 90)) for name in ("marker", "age")}
    markers = Modality(
        name="markers", node="clinical", columns=("marker",), clip=clip, ranges={"marker": ranges["marker"]}
    )
    ages = Modality(name="ages", node="clinical", columns=("age",), ranges={"age": ranges["age"]})
    federation = Federation(
        name="plain",
        statistics=Statistics(minimum_count=5),
        modalities=(markers, ages),
        tasks=(ResponseTask(name="response", label="response", classes=("no", "yes")),),
        model=HierarchicalConfig(dropout=0, node_dropout=0, modality_dropout=0),
        training=Training(rounds=2, batch_size=64, learn_task_weights=False),
        participants=(Participant(name="one", patients=80), Participant(name="two", patients=80)),
        **({"privacy": PUBLIC} if private else {}),
    )
    tables = {
        "markers": clinical[["patient", "marker"]],
        "ages": clinical[["patient", "age"]],
        "outcomes": outcomes,
    }
    policy: dict[str, Any] = {"minimum_count": 5, "minimum_cohort": 20}
    return AttackedHospital(
        folder, federation, tables, policy | ({"statistics": ["public"]} if private else {})
    )


@pytest.mark.parametrize("private", [False, True], ids=["exact", "public"])
@pytest.mark.parametrize("means", ["zeros", "clip"])
def test_two_patients_are_not_solved_from_the_sums(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    means: str,
    private: bool,
    attack_row: Callable[[str, str, str], None],
) -> None:
    """A column of zeros but for two, or any column of which the file's clip raises all but two to its end."""
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "outside"))
    training = training_patients(private)
    column, clip, common = np.zeros(PATIENTS), None, 0.0
    if means == "zeros":
        column[training[[10, 20]]] = 137.5, 52.25
    else:
        column = np.random.default_rng(7).normal(62, 11, PATIENTS).round(1)
        common = float(np.floor(np.sort(column[training])[-3]) + 1)
        clip = (common, 1000.0)
    content = hospital_with(tmp_path, column, clip, private).statistics()
    assert isinstance(content, RecordDict)
    reply = StatisticsReply.from_record(content)
    count, total, squares = reply.moments["modality:markers"][:, 0]
    first, second = total - count * common, squares - 2 * common * total + count * common**2
    high = (first + np.sqrt(max(2 * second - first**2, 0.0))) / 2
    solved = sorted([high + common, first - high + common])
    truth = sorted(column[training][np.clip(column[training], common, None) > common])
    assert len(truth) == 2
    assert not np.allclose(solved, truth, rtol=0, atol=0.1)
    assert count == total == squares == 0
    assert reply.withheld["modality:markers"] == 1
    assert reply.moments["modality:ages"][0, 0] == len(training), "an ordinary column leaves"
    kind = "public" if private else "exact"
    attack_row(f"two patients solved from {kind} sums, by {means}", "sums withheld", "neither value found")


@pytest.mark.parametrize("private", [False, True], ids=["exact", "public"])
@pytest.mark.parametrize("end", ["low", "high"])
def test_two_clips_do_not_subtract_to_the_patient_between_them(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    end: str,
    private: bool,
    attack_row: Callable[[str, str, str], None],
) -> None:
    """Both sums pass alone: of one patient alone the value lies between the ends of two files' clips."""
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "outside"))
    column = np.random.default_rng(7).normal(62, 11, PATIENTS).round(1)
    values = np.sort(column[training_patients(private)])
    middle = next(n for n in range(len(values) // 2, len(values)) if np.diff(values[n - 1 : n + 2]).all())
    ends = [float(values[middle + step : middle + 2 + step].mean()) for step in (-1, 0)]
    clips = [(one, 1000.0) if end == "low" else (0.0, one) for one in ends]
    hospital = hospital_with(tmp_path, column, clips[0], private)
    first = hospital.statistics()
    assert isinstance(first, RecordDict)
    assert StatisticsReply.from_record(first).moments["modality:markers"][0, 0] == len(values)
    markers, ages = hospital.federation.modalities
    again = markers.model_copy(update={"clip": clips[1]})
    hospital.approve(hospital.federation.model_copy(update={"name": "again", "modalities": (again, ages)}))
    hospital.begin_run()
    assert hospital.statistics() == RefusalCode.DISCLOSURE_DIFFERS
    kind = "public" if private else "exact"
    attack_row(f"{kind} sums of two {end} clips subtracted", "no second sums", "disclosure-differs")
