from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import consilium
from common.agreement import kinds
from common.agreement.agreement import PATIENTS
from common.agreement.loading import load_agreement
from common.assessment.part import parts_of
from common.errors import UnreadableFileError
from server.records.assessment import FOLDER, assessed_members, read_answers
from server.records.journal import AssessmentRecord, read_record
from server.records.result import load_result


@pytest.fixture(autouse=True)
def _counted(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = ("tests.common.assessment.counting_part:COUNTING",)
    monkeypatch.setitem(kinds._KINDS, PATIENTS, replace(kinds._KINDS[PATIENTS], assessment=parts))


def test_a_run_keeps_the_sums_of_every_question(tmp_path: Path) -> None:
    out = tmp_path / "out"
    consilium.simulate(
        consilium.cohort("synthetic", hospitals=3, patients=60),
        folds=1,
        rounds=2,
        federated_only=True,
        engine="serial",
        out=out,
    )
    agreement, result = load_agreement(out / "federation.toml"), load_result(out)
    (part,) = parts_of(agreement)
    first, second = (read_answers(out, part, number, result.weights) for number in range(2))
    assert first is not None
    assert second is not None
    assert [*first] == [*second] == ["hospital 1", "hospital 2", "hospital 3"]
    total = sum(float(site.sums["count"]) for site in first.values())
    assert total == sum(site.patients for site in second.values()) > 0
    # about the center of the first sums the squares are those of the second question
    assert all(np.all(site.sums["values"] >= 0) for site in second.values())
    lines = (out / "journal-fold0.jsonl").read_text().splitlines()
    asked = [record for record in map(read_record, lines) if isinstance(record, AssessmentRecord)]
    assert [(record.part, record.number, len(record.sites)) for record in asked] == [
        ("counting", 0, 3),
        ("counting", 1, 3),
    ]
    members = assessed_members(out, agreement, result.weights)
    assert [*members] == ["counting.json"]
    other = {name: array + 1 for name, array in result.weights.items()}
    assert assessed_members(out, agreement, other) == {}, "sums are about the weights that were asked about"
    path = out / FOLDER / "counting-1.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UnreadableFileError):
        assessed_members(out, agreement, result.weights)
