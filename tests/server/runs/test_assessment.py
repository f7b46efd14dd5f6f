from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from flwr.app import Message

import consilium
from common.agreement import kinds
from common.agreement.agreement import PATIENTS
from common.agreement.loading import load_agreement
from common.agreement.privacy_settings import Privacy
from common.assessment.part import parts_of
from common.errors import RefusalCode, UnreadableFileError
from common.messages.exchange import AssessmentReply, AssessmentRequest, RefusalReply
from server.aggregation.model_exchange import RunContext
from server.participants.roster import Roster
from server.records.assessment import FOLDER, assessed_members, read_answers
from server.records.dropped import DropReason
from server.records.journal import AssessmentRecord, Journal, read_journal, read_record
from server.records.result import load_result
from server.runs.assessment import Assessed, assess

if TYPE_CHECKING:
    from tests.server.conftest import Bench


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


@dataclass
class Hospitals:
    """Hospitals of a coordinator under test, which answer questions of an assessment as a test says."""

    bench: "Bench"
    folder: Path
    spoil: Callable[[str, AssessmentReply], AssessmentReply | RefusalReply] = lambda site, reply: reply
    asked: list[tuple[str, int]] = field(default_factory=list)
    dies_at: int = -1

    def assess(self) -> dict[str, list[str]]:
        """Ask every question, and return who answered it, by part and number."""
        federation = self.bench.federation(rounds=2)
        names = {node: name for name, node in self.bench.nodes.items()}
        nodes = len(federation.modalities[0].nodes)

        def answer(message: Message) -> Message:
            request = AssessmentRequest.from_record(message.content)
            if len(self.asked) == self.dies_at:
                raise KeyboardInterrupt
            self.asked.append((request.part, request.number))
            sums = {"count": np.array(7.0), "values": np.ones(nodes)}
            site = names[message.metadata.dst_node_id]
            reply = AssessmentReply(
                site=site, part=request.part, number=request.number, patients=7, sums=sums
            )
            return Message(self.spoil(site, reply).to_record(), reply_to=message)

        grid = self.bench.grid(dict.fromkeys(names, lambda message: None))
        grid.on_question = answer
        statistics = {name: self.bench.statistics(name) for name in self.bench.nodes}
        run = RunContext(federation, Roster(statistics, dict(self.bench.nodes), ()), {}, 0, 0, self.folder)
        weights = {"bias": np.zeros(3, dtype=np.float32)}
        with Journal(self.folder) as journal:
            assess(grid, run, Assessed(2, weights), journal, clock=self.bench.clock)
        (part,) = parts_of(federation)
        answers = (read_answers(self.folder, part, number, weights) for number in range(2))
        return {str(number): sorted(sites or {}) for number, sites in enumerate(answers)}


def test_an_interrupted_assessment_goes_on_where_it_was(bench: "Bench", tmp_path: Path) -> None:
    everyone = sorted(bench.nodes)
    hospitals = Hospitals(bench, tmp_path, dies_at=len(everyone) + 1)
    with pytest.raises(KeyboardInterrupt):
        hospitals.assess()
    hospitals.dies_at, hospitals.asked = -1, []
    assert hospitals.assess() == {"0": everyone, "1": everyone}
    assert set(hospitals.asked) == {("counting", 1)}, "what is on disk is not asked again"


def test_a_hospital_that_declines_or_lies_is_not_in_the_sums(bench: "Bench", tmp_path: Path) -> None:
    names = sorted(bench.nodes)

    def spoil(site: str, reply: AssessmentReply) -> AssessmentReply | RefusalReply:
        if site == names[0]:
            return RefusalReply(site=site, code=RefusalCode.DECLINED_STATISTICS)
        if site == names[1]:
            return reply.model_copy(update={"sums": {**reply.sums, "count": np.array(8.0)}})
        if site == names[2]:
            return reply.model_copy(update={"site": names[3]})
        return reply

    assert Hospitals(bench, tmp_path, spoil).assess() == {"0": names[3:], "1": names[3:]}
    records = [record for record in read_journal(tmp_path) if isinstance(record, AssessmentRecord)]
    assert [(hospital.site, hospital.reason, hospital.code) for hospital in records[0].dropped] == [
        (names[0], DropReason.REFUSED, "declined-statistics"),
        (names[1], DropReason.FIGURES_IMPLAUSIBLE, None),
        (names[2], DropReason.WRONG_SITE, None),
    ]


def test_a_hospital_speaks_for_no_more_patients_than_it_enrolled(bench: "Bench", tmp_path: Path) -> None:
    names = sorted(bench.nodes)

    def spoil(site: str, reply: AssessmentReply) -> AssessmentReply:
        return reply.model_copy(update={"patients": 5_000}) if site == names[0] else reply

    assert Hospitals(bench, tmp_path, spoil).assess() == {"0": names[1:], "1": names[1:]}
    record = next(record for record in read_journal(tmp_path) if isinstance(record, AssessmentRecord))
    assert [hospital.reason for hospital in record.dropped] == [DropReason.FIGURES_IMPLAUSIBLE]


def test_without_any_answer_nothing_goes_into_a_release(bench: "Bench", tmp_path: Path) -> None:
    def decline(site: str, reply: AssessmentReply) -> RefusalReply:
        return RefusalReply(site=site, code=RefusalCode.DECLINED_STATISTICS)

    assert Hospitals(bench, tmp_path, decline).assess() == {"0": [], "1": []}


def test_under_privacy_sums_may_have_noise_and_no_number_of_patients(
    bench: "Bench", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        kinds._KINDS,
        PATIENTS,
        replace(kinds._KINDS[PATIENTS], assessment=("common.explanation.part:PART",)),
    )
    privacy = Privacy(
        noise_multiplier=1, sampling_rate=0.1, expected_batch_size=3, explanations_noise_multiplier=10.0
    )
    plain = bench.federation(rounds=2).changed({"statistics.explanations": "true"})
    federation = plain.model_copy(update={"privacy": privacy})
    (part,) = parts_of(federation)
    limits = part.sums(federation, 0)
    names = {node: name for name, node in bench.nodes.items()}
    first, second, third, *others = sorted(bench.nodes)

    def answer(message: Message) -> Message:
        site = names[message.metadata.dst_node_id]
        sums = {name: np.full(limit.shape, -99.0) for name, limit in limits.items()}
        if site == first:
            sums["signed"] += 1e9
        if site == second:
            sums["patients"] = sums["patients"] * np.nan
        patients = 7 if site == third else 1
        reply = AssessmentReply(site=site, part=part.name, number=0, patients=patients, sums=sums)
        return Message(reply.to_record(), reply_to=message)

    grid = bench.grid(dict.fromkeys(names, lambda message: None))
    grid.on_question = answer
    statistics = {name: bench.statistics(name) for name in bench.nodes}
    run = RunContext(federation, Roster(statistics, dict(bench.nodes), ()), {}, 0, 0, tmp_path)
    weights = {"bias": np.zeros(3, dtype=np.float32)}
    with Journal(tmp_path) as journal:
        assess(grid, run, Assessed(2, weights), journal, clock=bench.clock)
    assert sorted(read_answers(tmp_path, part, 0, weights) or {}) == others
    (record,) = [record for record in read_journal(tmp_path) if isinstance(record, AssessmentRecord)]
    assert {hospital.site: hospital.reason for hospital in record.dropped} == {
        first: DropReason.FIGURES_IMPLAUSIBLE,
        second: DropReason.NOT_FINITE,
        third: DropReason.FIGURES_IMPLAUSIBLE,
    }
