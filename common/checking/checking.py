"""Check of a federation file: all that coordinator and hospitals would refuse, at once.

The commands that read a federation file to begin something take `sound_agreement`, so that nothing is refused at a
hospital that could have been refused before.
"""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common.agreed import Problem
from common.agreement.agreement import FILE_NAME, Agreement
from common.agreement.faults import FileFault, located, schema_faults
from common.agreement.loading import content_errors, read_file, schema_of
from common.checking.guarantee import check_trainable
from common.checking.unused import unused
from common.checking.usual_limits import usually_declined
from common.errors import InputCode, InputError
from common.families.registry import family_of
from common.reading.toml_file import TomlFile


@dataclass(frozen=True)
class FileCheck:
    """Outcome of a check.

    Attributes:
        path: the file.
        agreement: what it says; None if it has a fault in its form.
        faults: that keep it from being used, by line.
        warnings: what changes nothing, or what hospitals decline unless they edit their policy.
    """

    path: Path
    agreement: Agreement | None
    faults: tuple[FileFault, ...]
    warnings: tuple[FileFault, ...] = ()


def file_in(source: Path) -> Path:
    """Return the federation file that a folder or its own path names."""
    return source / FILE_NAME if source.is_dir() else source


def check(source: Path, trained: bool = True) -> FileCheck:
    """Check a federation file and its public files.

    Args:
        source: the file, or its folder.
        trained: whether model and loss are built and tried too, which takes a second or two.
    """
    path = file_in(source)
    try:
        file = read_file(path)
        schema = schema_of(file)
    except InputError as error:
        return FileCheck(path, None, (_fault(error),))
    agreement, faults = schema_faults(file, schema)
    if agreement is None:
        return FileCheck(path, None, tuple(faults))
    faults = [_fault(error) for error in content_errors(agreement, path)]
    warnings: list[FileFault] = []
    family = family_of(agreement)
    if not faults:
        faults = list(_located(file, family.malformed(agreement, path.parent)))
    if not faults:
        broken = InputCode.GUARANTEE_BROKEN
        faults = list(_located(file, family.contradictions(agreement), broken))
    if not faults and trained:
        faults = list(_untrainable(agreement, path.parent))
    if not faults:
        idle_keys = (*unused(agreement, file.data), *family.idle(agreement, path.parent))
        warnings = [*_located(file, idle_keys), *_located(file, usually_declined(agreement))]
    in_order = sorted(warnings, key=lambda warning: (warning.line is None, warning.line or 0))
    return FileCheck(path, agreement, tuple(faults), tuple(in_order))


def sound_agreement(source: Path, trained: bool = True) -> Agreement:
    """Return the agreement of a file that a check finds nothing wrong with.

    Raises:
        InputError: naming the first fault, and the number of others.
    """
    checked = check(source, trained)
    if checked.agreement is None or checked.faults:
        raise _error(checked)
    return checked.agreement


def _error(checked: FileCheck) -> InputError:
    first, *others = checked.faults
    command = f"consilium federation check {shlex.quote(str(checked.path))}"
    remedy = first.remedy if not others else f"{first.remedy} ({len(others)} more: `{command}` lists all)"
    return _KINDS[first.code](first.where, first.what, remedy)


def _kinds() -> Iterator[tuple[InputCode, type[InputError]]]:
    waiting = [InputError]
    while waiting:
        kind = waiting.pop()
        yield kind.code, kind
        waiting += kind.__subclasses__()


_KINDS = dict(_kinds())


def _fault(error: InputError) -> FileFault:
    return FileFault(error.where, None, "", error.what, error.remedy, code=error.code)


def _located(
    file: TomlFile, problems: Iterable[Problem], code: InputCode = InputCode.CONTENT_INVALID
) -> Iterator[FileFault]:
    return (located(file, problem.key, problem.what, problem.remedy, code) for problem in problems)


def _untrainable(agreement: Agreement, folder: Path) -> Iterator[FileFault]:
    try:
        check_trainable(agreement, folder)
    except InputError as error:
        yield _fault(error)
