"""Page of a run: its course, its curves, hospitals' absences, receipts and reports."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from common.countersignature import CountersignatureError, Received, read_countersigned
from common.counting import counted
from common.errors import InputError
from common.pages.document import PageSection
from common.pages.parts import Importance, bullets, code, facts, note, paragraph
from common.pages.table import PageTable, TableCell, table
from server.commands.receipts import (
    HIDDEN,
    SHARED,
    Contribution,
    contributions_of_question,
    contributions_of_round,
)
from server.dashboard.curves import curves
from server.dashboard.frame import framed, link, moment, shortened, with_code
from server.dashboard.watch import RunView
from server.home.certificates import read_certificate
from server.home.places import CoordinatorHome
from server.participants.countersignatures import read_countersignatures
from server.records.journal import RunRecord
from server.records.wording import left_out, why

REPORTS = {"report.html": "Report of the run"}
"""Pages that commands leave in the folder of a run, with their titles."""


def run_address(run: str) -> str:
    """Address of the page of a run."""
    return f"/runs/{quote(run)}"


def run_page(home: CoordinatorHome, view: RunView, index: int | None, mark: str) -> str:
    """Write the page of a run.

    Args:
        home: the coordinator's folder.
        view: of the run.
        index: index of the exchange whose receipts are shown; None for the latest.
        mark: of the state.

    Raises:
        InputError: if there is no such exchange.
    """
    sections = [
        PageSection("Course", course(view), "course"),
        PageSection("Hospitals", _hospitals(view), "hospitals"),
        PageSection("Receipts", _receipts(view, index), "receipts"),
        PageSection("Countersignatures", _countersignatures(home, view.out), "countersignatures"),
    ]
    if view.history.assessment:
        sections.append(PageSection("Assessment", _assessment(view), "assessment"))
    sections.append(PageSection("Reports", _reports(view.out), "reports"))
    name = view.summary.federation or "a federation"
    return framed(f"Run {view.summary.id}", sections, kind=f"Run of {name}", mark=mark, run=view.summary.id)


def course(view: RunView) -> list[str | Markup]:
    """Write how far a run is and how it went so far, with its curves."""
    run, history = view.summary, view.history
    parts: list[str | Markup] = (
        [] if view.trouble is None else [note(with_code(view.trouble), "danger", "Trouble.")]
    )
    if not view.is_whole:
        parts.append(note(f"The journal is long: it is read up to round {history.trained:,} so far.", "note"))
    parts.append(note(*_state(view)))
    planned = None if view.federation is None else view.federation.training.rounds
    lines: dict[str, str | Markup | None] = {
        "Rounds": f"{run.rounds:,}" + ("" if planned is None else f" of {planned:,} at most"),
        "Hospitals": f"{run.hospitals}",
        "Kept": None if run.best_round is None else f"the weights of round {run.best_round}",
        "Validation loss": None if run.best_loss is None else f"{run.best_loss:.4g}",
        "Begun": None if run.begun is None else f"{moment(run.begun)} UTC",
        "Ended": None if run.ended is None else f"{moment(run.ended)} UTC",
        "Federation": run.federation,
        "Hash": None if run.digest is None else code(run.digest),
    }
    parts.append(facts({name: value for name, value in lines.items() if value is not None}))
    if view.progress is not None:
        parts.append(_under_way(view))
    return [*parts, curves(history, view.federation)]


def _state(view: RunView) -> tuple[str, Importance, str]:
    missed = sum(not record.applied for record in view.history.rounds)
    lacking = f" {counted(missed, 'exchange')} lacked a quorum and did not count." if missed else ""
    match view.summary.state:
        case None | "waiting":
            return "It waits for the hospitals' first answers.", "note", "Waiting."
        case "started":
            return f"Hospitals train.{lacking}", "warning" if missed else "note", "Under way."
        case "completed":
            return "Every round had its quorum.", "good", "Completed."
        case "partial":
            return f"It has a model, and some rounds lacked a quorum.{lacking}", "warning", "Partial."
        case "interrupted" | "cancelled" as word:
            return "It has no model, and can be resumed.", "warning", f"{word.capitalize()}."
        case "failed":
            return "It has no model; its log and the table of hospitals say more.", "danger", "Failed."
        case other:
            return "Its records cannot be read.", "danger", f"{other.capitalize()}."


def _under_way(view: RunView) -> Markup:
    progress = view.progress
    assert progress is not None
    heard = {site: at for site, at in progress.reported.items() if at is not None}
    missing = [site for site, at in progress.reported.items() if at is None]
    shown = ", ".join(missing[:12]) + (f" and {len(missing) - 12} more" if len(missing) > 12 else "")
    kinds = {
        "statistics": "Statistics",
        "train": f"Training, round {progress.round}",
        "evaluate": "Closing evaluation",
    }
    waiting = f"; waiting for {shown}" if missing else ""
    return paragraph(
        f"{kinds.get(progress.kind, 'Assessment')}: {len(heard)} of {counted(len(progress.reported), 'hospital')} "
        f"reported since {moment(progress.asked)} UTC{waiting}."
    )


def _hospitals(view: RunView) -> list[str | Markup]:
    run = view.history.last
    if run is None:
        return [paragraph("No hospital has answered yet.")]
    exchanges, absences = len(view.history.rounds), view.history.absences()
    rows = []
    for site in run.sites:
        absent = absences.get(site)
        number = 0 if absent is None else absent.number
        last = None if absent is None else _exchange(absent.last.kind, absent.last.round)
        rows.append(
            (site, str(exchanges - number), str(number), last, "" if absent is None else why(absent.dropped))
        )
    warned: dict[int, Importance] = {index: "warning" for index, row in enumerate(rows) if row[2] != "0"}
    caption = f"{counted(len(run.sites), 'hospital')} with a part in the run, over {counted(exchanges, 'exchange')}."
    heads = ("Hospital", "With a part", "Without", "Last without", "Why")
    parts: list[str | Markup] = [
        table(PageTable(heads, rows, caption, name="absences", words=frozenset((3, 4)), warned=warned))
    ]
    if run.left_out:
        parts += [
            paragraph("Without any part in the run:"),
            bullets(left_out(dropped) for dropped in run.left_out),
        ]
    return parts


def _receipts(view: RunView, index: int | None) -> list[str | Markup]:
    history, run = view.history, view.history.last
    if run is None:
        return [paragraph("There is no receipt yet.")]
    parts: list[str | Markup] = []
    if history.rounds:
        chosen = len(history.rounds) - 1 if index is None else index
        record = history.round_record(chosen)
        parts += [_neighbours(view, chosen), _contributions(contributions_of_round(record, run.private), run)]
        parts.append(
            paragraph(
                "A hospital has the same SHA-256 in its own receipt of the message; the CSV has it in full."
            )
        )
    elif index is not None:
        history.round_record(index)  # which says that there is none
    if run.statistics:
        rows = [(site, shortened(digest)) for site, digest in sorted(run.statistics.items())]
        caption = "Replies with statistics, before the first round."
        parts.append(table(PageTable(("Hospital", "SHA-256"), rows, caption, words=frozenset((1,)))))
    return parts


def _contributions(contributions: Sequence[Contribution], run: RunRecord) -> Markup:
    rows, warned = [], {}
    for index, answer in enumerate(contributions):
        number, share = answer.patients.get(SHARED), answer.shares.get(SHARED)
        patients = (
            HIDDEN if run.private and answer.reason is None else None if number is None else f"{number:g}"
        )
        share_text = None if share is None else TableCell(f"{share:.1%}", share)
        reason = answer.reason or ("" if answer.applied else "The round lacked a quorum and does not count.")
        sha256 = shortened(answer.sha256)
        rows.append((answer.hospital, patients, share_text, sha256, reason))
        if answer.reason is not None:
            warned[index] = "warning"
    first = contributions[0] if contributions else None
    when = "" if first is None else f"{_exchange(first.kind, first.round)}, {first.seconds:.1f} s."
    content = PageTable(
        ("Hospital", "Training patients", "Share of the average", "SHA-256 of the reply", "Why not"),
        rows,
        when[:1].upper() + when[1:],
        name="receipts",
        words=frozenset((3, 4)),
        warned=dict.fromkeys(warned, "warning"),
    )
    return table(content)


def _neighbours(view: RunView, chosen: int) -> Markup:
    """Links to the exchanges before and after."""
    rounds, address = view.history.rounds, run_address(view.summary.id)
    links = [
        link(
            f"{address}/exchanges/{index}#receipts",
            f"{words}: {_exchange(rounds[index].kind, rounds[index].round)}",
        )
        for words, index in (("First", 0), ("Before", chosen - 1), ("After", chosen + 1))
        if 0 <= index < len(rounds) and index != chosen
    ]
    if chosen != len(rounds) - 1:
        links.append(link(f"{address}#receipts", "Latest"))
    return Markup("<p>{}</p>").format(Markup(" &#183; ").join(links))


def _exchange(kind: str, number: int) -> str:
    return f"round {number}" if kind == "train" else "closing evaluation"


def _countersignatures(home: CoordinatorHome, out: Path) -> list[str | Markup]:
    try:
        key = read_certificate(home.authority, "put it back from a copy").public_key()
        signed = read_countersignatures(out)
        statements = {site: read_countersigned(text, key) for site, text in sorted(signed.items())}  # type: ignore[arg-type]
    except (InputError, CountersignatureError) as error:
        return [note(f"They cannot be read: {error}", "warning")]
    caption = (
        "Messages of earlier runs that the coordinator has, as signed when this run began. Times are in UTC."
    )
    return [
        table(
            PageTable(
                ("Hospital", "Messages", "Last run", "SHA-256 of the last", "Signed"),
                [_statement(site, received) for site, received in statements.items()],
                caption,
                name="countersignatures",
                words=frozenset((2, 3)),
            )
        )
    ]


def _statement(site: str, received: Received) -> tuple[str | TableCell | None, ...]:
    sha256 = shortened(received.sha256)
    return site, f"{received.count:,}", received.run or None, sha256, moment(received.at)


def _assessment(view: RunView) -> list[str | Markup]:
    answers = [answer for record in view.history.assessment for answer in contributions_of_question(record)]
    rows = [
        (
            f"{answer.part} {answer.number + 1}",
            answer.hospital,
            None if answer.patients is None else str(answer.patients),
            shortened(answer.sha256),
            answer.reason or "",
        )
        for answer in answers
    ]
    heads = ("Question", "Hospital", "Patients", "SHA-256 of the reply", "Why not")
    caption = "Sums about the kept weights, over the hospitals' patients."
    return [table(PageTable(heads, rows, caption, name="assessment", words=frozenset((1, 3, 4))))]


def _reports(out: Path) -> list[str | Markup]:
    there = {name: title for name, title in REPORTS.items() if (out / name).is_file()}
    if not there:
        return [paragraph("There is no report yet.")]
    return [bullets(link(f"{run_address(out.name)}/{name}", title) for name, title in there.items())]
