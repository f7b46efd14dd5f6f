"""Report of a run from the files of its folder, for terminal, file and page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from common.agreement.agreement import FILE_NAME, Agreement
from common.agreement.labels import task_label
from common.agreement.loading import load_agreement
from common.assessment.part import Whose, members_of
from common.baseline.table import BaselineTable, baseline_table
from common.counting import counted
from common.errors import InputError, StateError
from common.models.parameter_groups import ParameterGroup
from common.release.members import TEST, VALIDATION
from common.validation.estimate import IntervalEstimate
from common.validation.sums.table import ValidationTable
from server.records.assessment import assessed_members
from server.records.concordance import concordance_of_round
from server.records.journal import FILE_NAME as JOURNAL
from server.records.journal import (
    UNFINISHED,
    AssessmentRecord,
    JournalRecord,
    RoundRecord,
    RunRecord,
    read_journal,
)
from server.records.result import load_result
from server.records.statistics import read_statistics
from server.records.wording import idle, who, why

ASSESSMENT = "assessment"
"""Name of the questions about the kept weights, among the exchanges that a hospital was absent from."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TaskConcordance(_Part):
    """Concordance of a task in a round, over pairs of validation patients of the same hospital."""

    estimate: IntervalEstimate
    patients: int
    pairs: int


class ReportedRound(_Part):
    """Exchange of training or evaluation.

    Attributes:
        number: of the exchange; its figures are of the weights after `trained` rounds.
        trained: rounds of training behind the weights that were sent.
        hospitals: with a part in it.
        applied: whether a quorum replied, so that it counts.
    """

    number: int
    trained: int
    kind: str
    seconds: float
    hospitals: int
    applied: bool
    training_loss: float | None
    validation_loss: float | None
    validation_error: float | None
    validation_noise: float | None
    concordance: dict[str, TaskConcordance]


class ExchangeAbsence(_Part):
    """Reason for a missing part in exchanges: numbers of rounds, or `assessment` and its part."""

    reason: str
    exchanges: tuple[str, ...]


class ReportedHospital(_Part):
    """Part of a hospital in a run.

    Attributes:
        name: of the hospital, or of a node that spoke for none.
        patients: that trained the shared part, by its last reply; None under privacy, and without a reply.
        rounds: of training, in which it had a part.
        evaluated: whether it took part in the closing evaluation.
        assessed: parts of the assessment that it answered.
        absences: reasons for which it had none; of the whole run, exchanges are empty.
    """

    name: str
    patients: int | None
    rounds: tuple[int, ...]
    evaluated: bool
    assessed: tuple[str, ...]
    absences: tuple[ExchangeAbsence, ...]


class RunReport(_Part):
    """Report of a run.

    Attributes:
        run: name of its folder.
        status: of the run; `started` while it goes on, or where it ended without a word.
        federation, digest: name and SHA-256 of the federation file.
        started, ended: ISO 8601 in UTC; empty where the journal does not say.
        version: of the release that was made of it; None without one.
        strategy, seed, private, kept_round, kept_loss: as in the journal.
        planned: rounds of training.
        tasks: name -> label.
        hospitals: in order of name.
        rounds: exchanges in order.
        test: of the kept model on patients who neither trained nor chose; None without.
        validation: on those who did not train but helped to choose the round; None without.
        baseline: training patients by hospital; None where nothing of them was told.
        notes: sentences on what is missing and why, and on what to mind.
    """

    run: str
    status: str
    federation: str
    digest: str
    started: str
    ended: str
    version: str | None
    strategy: str
    seed: int
    private: bool
    planned: int
    kept_round: int | None
    kept_loss: float | None
    tasks: dict[str, str]
    hospitals: tuple[ReportedHospital, ...]
    rounds: tuple[ReportedRound, ...]
    test: ValidationTable | None
    validation: ValidationTable | None
    baseline: BaselineTable | None
    notes: tuple[str, ...]


def run_report(out: Path, version: str | None = None) -> RunReport:
    """Read the report of a run.

    Args:
        out: the run's folder.
        version: of the release that was made of it.

    Raises:
        InputError: if the journal, the federation file or the sums are damaged, or not there yet.
    """
    records = read_journal(out) if (out / JOURNAL).is_file() else []
    runs = [record for record in records if isinstance(record, RunRecord)]
    if not runs:
        raise StateError(str(out), "the run has no journal yet", "wait until the hospitals have answered")
    first, last = runs[0], runs[-1]
    agreement = load_agreement(out / FILE_NAME)
    exchanges = _exchanges(records)
    members, notes = _members(out, agreement, last)
    return RunReport(
        run=out.name,
        status=last.status,
        federation=agreement.name,
        digest=agreement.digest,
        started=first.at,
        ended=last.at if last.status not in UNFINISHED else "",
        version=version,
        strategy=last.strategy,
        seed=last.seed,
        private=last.private,
        planned=agreement.training.rounds,
        kept_round=last.best_round,
        kept_loss=last.best_loss,
        tasks={name: task_label(agreement, name) for name in agreement.task_names},
        hospitals=tuple(_hospitals(exchanges, records, last)),
        rounds=tuple(_round(record, agreement) for record in exchanges),
        test=_table(members, TEST),
        validation=_table(members, VALIDATION),
        baseline=_baseline(out, agreement, exchanges),
        notes=(*notes, *_notes(agreement, last, members)),
    )


def _members(out: Path, agreement: Agreement, last: RunRecord) -> tuple[Mapping[str, bytes], list[str]]:
    """Make the members of a release from the assessment, with a note on a damaged file."""
    if last.status not in ("completed", "partial") or agreement.privacy is not None:
        return {}, []
    try:
        return assessed_members(out, agreement, load_result(out).weights), []
    except InputError as error:
        return {}, [f"The sums about the kept model cannot be read. {error}"]


def _table(members: Mapping[str, bytes], name: str) -> ValidationTable | None:
    content = members.get(name)
    return None if content is None else ValidationTable.of_content(content, name)


def _baseline(out: Path, agreement: Agreement, rounds: Sequence[RoundRecord]) -> BaselineTable | None:
    sites = read_statistics(out)
    patients = _patients(rounds) if agreement.privacy is None else {}
    return baseline_table(
        agreement, sites, {site: number for site, number in patients.items() if site in sites}
    )


def _patients(rounds: Sequence[RoundRecord]) -> dict[str, int]:
    """Hospital -> training patients, by its last reply with a number."""
    patients: dict[str, int] = {}
    for record in rounds:
        for site, reply in record.sites.items():
            if (number := reply.patients.get(ParameterGroup.SHARED.name)) is not None:
                patients[site] = round(number)
    return patients


def _round(record: RoundRecord, agreement: Agreement) -> ReportedRound:
    concordance = {}
    for task in record.concordance:
        estimate, patients, pairs = concordance_of_round(record, task, agreement)
        concordance[task] = TaskConcordance(estimate=estimate, patients=patients, pairs=pairs)
    return ReportedRound(
        number=record.round,
        trained=record.round - 1,
        kind=record.kind,
        seconds=record.seconds,
        hospitals=len(record.sites),
        applied=record.applied,
        training_loss=record.training_loss,
        validation_loss=record.validation_loss,
        validation_error=record.validation_error,
        validation_noise=record.validation_noise,
        concordance=concordance,
    )


def _exchanges(records: Sequence[JournalRecord]) -> list[RoundRecord]:
    """List the exchanges in order; of one that a resumed run repeated, the last record counts."""
    rounds = [record for record in records if isinstance(record, RoundRecord)]
    return list({(record.kind, record.round): record for record in rounds}.values())


def _hospitals(
    rounds: Sequence[RoundRecord], records: Sequence[JournalRecord], last: RunRecord
) -> list[ReportedHospital]:
    """List what every hospital had a part in, and why it had none."""
    questions = [record for record in records if isinstance(record, AssessmentRecord)]
    reasons: dict[str, dict[str, list[str]]] = {}
    for dropped in last.left_out:
        reasons.setdefault(who(dropped), {}).setdefault(why(dropped), [])
    named = [(str(record.round), record.dropped) for record in rounds]
    named += [(f"{ASSESSMENT}, {question.part}", question.dropped) for question in questions]
    for name, without in named:
        for dropped in without:
            of_reason = reasons.setdefault(who(dropped), {}).setdefault(why(dropped), [])
            if name not in of_reason:
                of_reason.append(name)
    patients = {} if last.private else _patients(rounds)
    names = {*last.sites, *reasons, *(site for record in rounds for site in record.sites)}
    return [
        ReportedHospital(
            name=name,
            patients=patients.get(name),
            rounds=tuple(
                record.round for record in rounds if record.kind == "train" and name in record.sites
            ),
            evaluated=any(record.kind == "evaluate" and name in record.sites for record in rounds),
            assessed=tuple(dict.fromkeys(record.part for record in questions if name in record.sites)),
            absences=tuple(
                ExchangeAbsence(reason=reason, exchanges=tuple(exchanges))
                for reason, exchanges in reasons.get(name, {}).items()
            ),
        )
        for name in sorted(names)
    ]


def _notes(agreement: Agreement, last: RunRecord, members: Mapping[str, bytes]) -> list[str]:
    """Say what is missing and why, and what to mind."""
    notes = list(idle(last))
    if last.status == "failed":
        notes.append("The run gave no model.")
    if agreement.privacy is not None:
        notes.append(
            "Under differential privacy all patients train, no loss leaves a hospital, and nothing is asked about the "
            "kept model: there are no curves and no test here. A hospital judges an adopted release on later patients."
        )
        return notes
    tested = [part for part in members_of(agreement).values() if part.whose is Whose.TEST]
    if last.status == "failed" or not tested:
        return notes
    if not agreement.training.test_fraction:
        notes.append(
            "No patients were set aside for a test (training.test_fraction is 0): figures of held-out patients are of "
            "those who helped to choose the round, and somewhat flattering."
        )
    elif TEST not in members:
        notes.append("No hospital had enough test patients with the outcome, and without it, for a figure.")
    withheld = {site: sum(counts.values()) for site, counts in last.withheld.items() if any(counts.values())}
    if withheld:
        sites = ", ".join(
            f"{site} ({counted(round(number), 'entry', 'entries')})" for site, number in withheld.items()
        )
        notes.append(
            f"Withheld from the baseline table and from scaling for too few patients behind them: {sites}."
        )
    return notes
