"""Rooms of the packages, their floors and their imports, read from the source files."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "common": {"common"},
    "client": {"client", "common"},
    "server": {"server", "common"},
    "simulations": {"simulations", "client", "server", "common"},
    "consilium": {"consilium", "simulations", "client", "server", "common"},
}
FLOORS = {
    "consilium": "program, __main__ | command, plugins_cli, release_cli, federation_cli, simulation, planning, attacks"
    " | result"
    " | comparison | frames, federation_text, drafting | dictionary, agreement, model, packages, wording",
    "client": "cli | records_cli, predict_cli, validate_cli | cli_arguments | doctor | commands | runtime | app"
    " | reports | validation"
    " | receipts, rounds, prediction, profile | families | egress | privacy, disclosures"
    " | ledger, training, data | intake | flower, chained_log, tables | site_folder | rules",
    "server": "cli | runs_cli | cli_arguments | dashboard, tracking | commands | services | app | reports, runs"
    " | aggregation | participants | home, records",
    "common": "documents, checking | export, explanation, structure, intervals | calibration | validation | assessment"
    " | prediction | families | privacy | baseline, models | patients | messages, release"
    " | agreement, processes, console | tasks | comparison | evaluation, extras, lifetime, pages, plugins, reading"
    " | addresses, agreed, countersignature, counting, errors, files, folding_table, installed_code, json_output,"
    " node_keys, records, units, word_code",
    "simulations": "cli | commands | benchmarks, tuning | poc | simulate, planning, audit, comparing | experiment"
    " | families | report | baselines | engines, cohorts, results | work_folder",
}
"""Rooms of a package from the top floor down: a room imports rooms of lower floors only."""
FLOORS_WITHIN = {"simulations.report": "page | spoiling | robustness | screen | words | plots | outcomes"}
"""Rooms within a room, by the same rule."""
SOURCES = sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))


@dataclass(frozen=True)
class Room:
    """Folder or single file at the top of a package.

    Attributes:
        sentence: purpose of the room.
        first: path of the file to read first.
    """

    package: str
    name: str
    sentence: str
    first: str


def floors(package: str) -> list[list[str]]:
    """List the rooms of a package, floor by floor from the top."""
    return [
        [room.strip() for room in floor.split(",")] for floor in (FLOORS | FLOORS_WITHIN)[package].split("|")
    ]


@cache
def tree(path: Path) -> ast.Module:
    """Parse a source file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported(path: Path) -> tuple[str, ...]:
    """List the full name of every module that a file imports, wherever the import stands in it."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    package = list(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def dotted(path: Path) -> str:
    """Name the module of a source file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> tuple[str, str]:
    """Split a module name into package and room; the room is empty for the package itself."""
    package, _, inner = module.partition(".")
    return package, inner.partition(".")[0]


def room_imports() -> set[tuple[tuple[str, str], tuple[str, str]]]:
    """List the pairs of rooms, also of two packages, of which the first imports the second."""
    pairs = set()
    for path in SOURCES:
        room = room_of(dotted(path))
        for other in map(room_of, imported(path)):
            if other[0] in MAY_IMPORT and all((*room, *other)) and room != other:
                pairs.add((room, other))
    return pairs


def describe(package: str, name: str) -> Room:
    """Read the sentence of a room from its docstring."""
    folder = ROOT / package / name
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    first_line = (ast.get_docstring(tree(path)) or "").partition("\n")[0]
    sentence, _, hint = first_line.partition("; start with ")
    file = hint.partition(",")[0].rstrip(".")
    first = f"{package}/{name}/{file}" if file else f"{package}/{path.relative_to(ROOT / package)}"
    return Room(package, name, sentence.rstrip("."), first)
