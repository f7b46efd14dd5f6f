import json
from dataclasses import replace
from pathlib import Path

import pytest

from common.documents.facts.evidence import evidence_facts
from common.documents.facts.fact import Topic
from common.documents.facts.validation import validation_facts
from common.errors import InvalidContentError
from common.release.members import VALIDATION
from common.release.release import ModelRelease, read_release
from common.validation.sums.table import ValidationTable, table_of
from tests.common.documents.conftest import Released
from tests.common.validation.sums.test_computing import FEDERATION
from tests.common.validation.sums.test_table import HOSPITALS, site
from tests.released import Coordinator


@pytest.fixture(scope="module")
def table() -> ValidationTable:
    made = table_of(FEDERATION, {f"h{number}": site(patients) for number, patients in enumerate(HOSPITALS)})
    assert made is not None
    return made


def with_validation(folder: Path, content: bytes) -> ModelRelease:
    coordinator = Coordinator(folder / "made", FEDERATION)
    path = folder / "made.zip"
    path.write_bytes(coordinator.made(members={**coordinator.members(), VALIDATION: content})[1])
    return read_release(path, coordinator.key.public_key())


def test_every_topic_of_a_validation_has_its_figures(table: ValidationTable, tmp_path: Path) -> None:
    facts = validation_facts(with_validation(tmp_path, table.content()))
    (survival,), (response,) = table.tasks["survival"], table.tasks["response"]
    discrimination = facts[Topic.DISCRIMINATION]
    assert survival.concordance.text() in discrimination.lines[0]
    assert len(discrimination.data) == 2
    main = next(by for by in survival.horizons if by.index == survival.main)
    assert all(part in facts[Topic.CALIBRATION].lines[0] for part in (main.ratio.text(), f"{main.null:.3f}"))
    worst = survival.worst()
    assert worst is not None
    assert f"{worst[1]:.2f} ({worst[0]})" in facts[Topic.HETEROGENEITY].lines[0]
    assert len(facts[Topic.SUBGROUPS].lines) == len(survival.groups) + len(response.groups)
    assert f"{survival.decisions[0].threshold:.0%}" in facts[Topic.NET_BENEFIT].lines[0]
    json.dumps([fact.data for fact in facts.values()], allow_nan=False)


def test_an_exact_figure_takes_the_place_of_one_with_noise(table: ValidationTable, tmp_path: Path) -> None:
    release = with_validation(tmp_path, table.content())
    noised = tuple(
        task.model_copy(update={"concordance": 0.9, "noise": 0.7, "pairs": 8}) for task in release.card.tasks
    )
    release = replace(release, card=release.card.model_copy(update={"tasks": noised}))
    facts = evidence_facts(release)
    assert "0.7" not in "".join(line for line in facts[Topic.DISCRIMINATION].lines if "noise" in line)
    assert "cannot be told" not in facts[Topic.LIMITS].text
    assert facts[Topic.DISCRIMINATION].data["run"][0]["noise"] == 0.7


def test_nothing_is_said_without_a_validation(released: Released) -> None:
    assert validation_facts(released()) == {}


def test_a_validation_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidContentError):
        validation_facts(with_validation(tmp_path, b"{}"))
