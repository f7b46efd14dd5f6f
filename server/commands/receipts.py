"""Hospitals' contributions to a run, from its journal, and the reasons of those without.

Every reply that was accepted is told with its SHA-256, to be compared with the hospital's own receipt; of a refusal, an
error or a reply that was dropped only the reason is kept.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from common.counting import counted
from common.errors import StateError
from common.models.parameter_groups import ParameterGroup
from server.home.places import CoordinatorHome
from server.records.dropped import Dropped
from server.records.journal import FILE_NAME as JOURNAL
from server.records.journal import AssessmentRecord, RoundRecord, RunRecord, read_journal
from server.records.submission import last_folder, named_folder
from server.records.wording import who, why

SHARED = ParameterGroup.SHARED.name


HIDDEN = "hidden"
"""Text in place of a private run's number of patients, which does not leave a hospital."""


_COLUMNS = (
    "round",
    "hospital",
    "patients",
    "share",
    "of branches and heads",
    "seconds",
    "SHA-256",
    "why not",
)


class Contribution(BaseModel):
    """One hospital in one round, or a reply that no hospital of the run speaks for.

    Attributes:
        round: of training, or the one of the closing evaluation, which is one higher.
        kind: of the exchange.
        hospital: its name; `node 5` for a node without one.
        seconds: of the whole exchange.
        applied: whether a quorum replied, so that the round counts.
        patients: averaging group -> training patients behind its weights; empty in a private run, whose hospitals keep
            their numbers.
        shares: averaging group -> its part, from 0 to 1, of the average over the hospitals; empty where the round does
            not count, and without the groups that nobody trained.
        reason: why its reply had no part; None if it had one.
        sha256: of the reply's content as it came, to be compared with the hospital's own receipt.
    """

    model_config = ConfigDict(frozen=True)

    round: int
    kind: str
    hospital: str
    seconds: float
    applied: bool
    patients: dict[str, float] = {}
    shares: dict[str, float] = {}
    reason: str | None = None
    sha256: str = ""


class AssessmentContribution(BaseModel):
    """Answer of one hospital to a question about the kept weights.

    Attributes:
        part: of the assessment.
        number: of the question in its part, from 0.
        hospital: its name.
        patients: that its sums are about; None without a part.
        reason: why its reply had no part; None if it had one.
        sha256: of the reply's content as it came, to be compared with the hospital's own receipt.
    """

    model_config = ConfigDict(frozen=True)

    part: str
    number: int
    hospital: str
    patients: int | None = None
    reason: str | None = None
    sha256: str = ""


class RunContributions(BaseModel):
    """The receipts of a run in order of round and hospital, and who never had a part in it.

    Attributes:
        private: whether the hospitals keep their numbers of patients.
        left_out: hospital -> why.
        statistics: hospital -> SHA-256 of its statistics reply as it came, before the first round.
        assessment: answers to questions about the kept weights, after the last round.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    status: str
    private: bool
    left_out: dict[str, str]
    statistics: dict[str, str] = {}
    receipts: tuple[Contribution, ...]
    assessment: tuple[AssessmentContribution, ...] = ()


def receipts_of(home: CoordinatorHome, run: str | None) -> RunContributions:
    """The receipts of a run, or of the last one.

    Raises:
        InputError: if there is no such run, no run at all, or its journal is damaged or not there yet.
    """
    out = _last(home) if run is None else named_folder(home.runs, run)
    records = read_journal(out) if (out / JOURNAL).is_file() else []
    run_records = [record for record in records if isinstance(record, RunRecord)]
    if not run_records:
        raise StateError(str(out), "the run has no journal yet", "wait until the hospitals have answered")
    rounds = [record for record in records if isinstance(record, RoundRecord)]
    return RunContributions(
        run=out.name,
        status=run_records[-1].status,
        private=(private := run_records[-1].private),
        left_out=_reasons(run_records[-1].left_out),
        statistics=run_records[-1].statistics,
        receipts=tuple(
            contribution for record in rounds for contribution in contributions_of_round(record, private)
        ),
        assessment=tuple(
            contribution
            for record in records
            if isinstance(record, AssessmentRecord)
            for contribution in contributions_of_question(record)
        ),
    )


def contributions_of_round(record: RoundRecord, private: bool = False) -> tuple[Contribution, ...]:
    """List the contributions of a round, in order of hospital, missing replies among them.

    The share of hospital k in averaging group g is n_k(g) / sum_j n_j(g), as in `server.aggregation.strategies`. In a
    private run n is 1 for every hospital, a weight and no number of patients.
    """
    totals: dict[str, float] = {}
    for site in record.sites.values():
        for group, number in site.patients.items():
            totals[group] = totals.get(group, 0.0) + number
    common = {
        "round": record.round,
        "kind": record.kind,
        "seconds": record.seconds,
        "applied": record.applied,
    }
    contributions = [
        Contribution(
            **common,
            hospital=name,
            patients={} if private else site.patients,
            shares={g: n / totals[g] for g, n in site.patients.items() if totals[g] > 0 and record.applied},
            sha256=site.sha256,
        )
        for name, site in record.sites.items()
    ]
    contributions += [
        Contribution(**common, hospital=name, reason=reason)
        for name, reason in _reasons(record.dropped).items()
    ]
    return tuple(sorted(contributions, key=lambda contribution: contribution.hospital))


def contributions_of_question(record: AssessmentRecord) -> tuple[AssessmentContribution, ...]:
    """List the answers to a question, in order of hospital, missing ones among them."""
    asked = {"part": record.part, "number": record.number}
    answers = [
        AssessmentContribution(**asked, hospital=name, patients=site.patients, sha256=site.sha256)
        for name, site in record.sites.items()
    ]
    answers += [
        AssessmentContribution(**asked, hospital=name, reason=reason)
        for name, reason in _reasons(record.dropped).items()
    ]
    return tuple(sorted(answers, key=lambda answer: answer.hospital))


def contributions_text(run: RunContributions) -> str:
    """Lay out contributions as a table; the shares of branches and heads as least and largest."""
    rows = [_COLUMNS, *(_row(contribution, run.private) for contribution in run.receipts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [f"run {run.run}: {run.status}"]
    lines += [f"  no part in any round: {name} {reasons}" for name, reasons in run.left_out.items()]
    lines += [f"  statistics of {name}: SHA-256 {digest[:12]}" for name, digest in run.statistics.items()]
    lines += [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    lines += [
        f"  assessment, {answer.part} {answer.number + 1}, {answer.hospital}: "
        + (
            answer.reason
            or f"sums about {counted(answer.patients or 0, 'patient')}, SHA-256 {answer.sha256[:12]}"
        )
        for answer in run.assessment
    ]
    return "\n".join(lines)


def _row(contribution: Contribution, private: bool) -> tuple[str, ...]:
    number, shared = contribution.patients.get(SHARED), contribution.shares.get(SHARED)
    patients = HIDDEN if private and contribution.reason is None else "" if number is None else f"{number:g}"
    others = [share for group, share in contribution.shares.items() if group != SHARED]
    span = f"{min(others):.1%} to {max(others):.1%}" if others else ""
    in_vain = "" if contribution.applied else "replied, but the round lacked a quorum and does not count"
    return (
        str(contribution.round) if contribution.kind == "train" else "evaluation",
        contribution.hospital,
        patients,
        "" if shared is None else f"{shared:.1%}",
        span,
        f"{contribution.seconds:.1f}",
        contribution.sha256[:12],
        contribution.reason or in_vain,
    )


def _reasons(dropped: tuple[Dropped, ...]) -> dict[str, str]:
    """Hospital, or node -> its reasons, in the words that `run` has for them."""
    by_name: dict[str, list[str]] = {}
    for hospital in dropped:
        by_name.setdefault(who(hospital), []).append(why(hospital))
    return {name: " ".join(dict.fromkeys(reasons)) for name, reasons in by_name.items()}


def _last(home: CoordinatorHome) -> Path:
    if (last := last_folder(home.runs)) is None:
        raise StateError(str(home.runs), "there is no run yet", "start one by `consilium coordinator run`")
    return last
