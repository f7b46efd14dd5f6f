"""Command `consilium site intake`: tables taken in by declared rules, and a report of it."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from client.intake.examination import Examination, Examined
from client.intake.report import IntakeReport, TableReport, effects_of, fault_of
from client.site_folder.approved_intake import intake_digest
from client.site_folder.places import Home, read_approval
from client.site_folder.site_file import SITE_FILE, SiteFile, read_site_file
from client.tables.checked import CellsError
from common.agreement.agreement import FILE_NAME, Agreement
from common.agreement.kinds import kind_named, part
from common.agreement.loading import load_agreement
from common.counting import counted
from common.errors import InputError, InvalidContentError, MissingFileError
from common.files import write_whole

_SHOWN = 20
"""Most row numbers of one problem that a terminal shows."""


@dataclass(frozen=True)
class IntakeOutcome:
    """Outcome of an intake.

    Attributes:
        report: what is written and printed.
        problems: the undecided things of the report, with the rows that only the hospital's own terminal may show.
        path: file of the report.
    """

    report: IntakeReport
    problems: tuple[InputError, ...]
    path: Path

    def lines(self, shows_rows: bool) -> Iterator[str]:
        """Write the outcome for people; `shows_rows` on the hospital's own terminal alone."""
        yield from self.report.lines()
        for problem in self.problems:
            yield f"  UNDECIDED {problem}"
            if shows_rows and isinstance(problem, CellsError) and problem.rows:
                rows = ", ".join(map(str, problem.rows[:_SHOWN]))
                more = f" and {len(problem.rows) - _SHOWN:,} more" if len(problem.rows) > _SHOWN else ""
                yield f"    in rows {rows}{more} of the file"
        if self.report.proposed:
            yield f"These rules would help. Look at each, and write them into {SITE_FILE}; nothing is read by them yet:"
            yield ""
            yield from self.report.proposed
            yield ""
        undecided = counted(len(self.problems), "thing")
        yield f"Report: {self.path}. " + (
            f"{undecided} undecided." if self.problems else "Everything is decided."
        )


def intake(home: Home, federation: Path | None) -> IntakeOutcome:
    """Take in the tables of a site folder, and write the report into it.

    Args:
        home: the site folder.
        federation: federation file, or its folder; None for the approved one.

    Raises:
        InputError: if there is no federation file, or `site.toml` is not usable.
    """
    agreement = load_agreement(_federation_file(home, federation))
    path = kind_named(agreement.kind).intake
    if path is None:
        what = f"has records of kind {agreement.kind}, whose tables take no rules of intake"
        raise InvalidContentError(FILE_NAME, what, "use `consilium site check`")
    site = read_site_file(home.folder, agreement)
    names_words = sys.stdout.isatty()
    examination: Examination[Agreement] = part(path)
    examined = examination(home.folder, site, agreement, names_words)
    report = _report(home, site, agreement, examined)
    kept = report if not names_words else report.model_copy(update={"proposed": ()})
    write_whole(home.intake, kept.model_dump_json(indent=2).encode() + b"\n", 0o600)
    return IntakeOutcome(report, tuple(examined.problems), home.intake)


def _federation_file(home: Home, federation: Path | None) -> Path:
    if federation is not None:
        return federation / FILE_NAME if federation.is_dir() else federation
    if home.agreement.is_file():
        return home.agreement
    what = "has no approved federation file to hold the tables against"
    raise MissingFileError(str(home.folder), what, "name one with --federation")


def _report(home: Home, site: SiteFile, agreement: Agreement, examined: Examined) -> IntakeReport:
    digest = intake_digest(home.folder)
    try:
        approved: bool | None = read_approval(home).intake == digest
    except InputError:  # nothing is approved yet
        approved = None
    tables = tuple(
        TableReport(
            table=table.table,
            file=site.tables[table.table],
            rows=table.taken.read,
            patients=None if table.taken.frame is None else len(table.taken.frame),
            effects=effects_of(table.taken.changes),
        )
        for table in examined.tables
    )
    return IntakeReport(
        site=site.name,
        federation=agreement.digest,
        intake=digest,
        approved=approved,
        tables=tables,
        undecided=tuple(map(fault_of, examined.problems)),
        warnings=tuple(examined.warnings),
        unused=tuple(_unused(site, tables)),
        proposed=tuple(_proposed(site, examined)),
    )


def _unused(site: SiteFile, tables: tuple[TableReport, ...]) -> Iterator[str]:
    """Name declared rules that apply to nothing at all."""
    for table in site.intake.tables:
        if table not in site.tables:
            yield f"intake.{table}: this hospital has no table of {table}"
    met = {effect.rule.partition(".")[0] for table in tables for effect in table.effects}
    readable = all(table.patients is not None for table in tables)
    for rule in ("encoding", "delimiter", "decimal", "thousands", "missing", "dates"):
        if getattr(site.intake, rule) and rule not in met and readable:
            yield f"intake.{rule}: no column or file of any table is read by it"


def _proposed(site: SiteFile, examined: Examined) -> Iterator[str]:
    """Write the declared rules with those that would help, as lines of TOML."""
    present = site.intake.model_dump(mode="json", exclude_defaults=True)
    more: dict[str, Any] = {table.table: table.proposed for table in examined.tables if table.proposed}
    if examined.identifiers:
        more["identifiers"] = examined.identifiers
    if not more:
        return
    if present:
        yield "# in place of [intake] and its parts as they are now"
    lines = tomli_w.dumps({"intake": _merged(present, more)}).splitlines()
    yield from (line.replace("\t", "\\t") for line in lines)


def _merged(present: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return present rules with more of them; a rule that is there already stays."""
    result = dict(present)
    for key, value in more.items():
        if isinstance(value, dict):
            result[key] = _merged(result.get(key, {}), value)
        else:
            result.setdefault(key, value)
    return result


def as_json(outcome: IntakeOutcome) -> str:
    """Write the report as JSON."""
    return json.dumps(outcome.report.model_dump(mode="json"), indent=2)
