"""A copy of an agreement: every public file at its place, and nothing else of the folder."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from common.agreement.federation import FILE_NAME, Federation, load, save
from common.agreement.folder import copy_agreement, copy_public_files
from common.agreement.prior_graph import PriorGraph, PublicFile
from common.errors import InputError, IntegrityError, MissingFileError, UnreadableFileError

FILES = {
    "edges": ("prior/edges.csv", "a,b\nGENE0,GENE1\n"),
    "pathways": ("prior/sets/pathways.csv", "pathway,gene\nalpha,GENE0\n"),
    "hierarchy": ("hierarchy.csv", "parent,child\nalpha,beta\n"),
}


@pytest.fixture
def source(make_federation: Callable[..., Federation], tmp_path: Path) -> Path:
    """A folder with a federation file that names public files at three depths."""
    folder = tmp_path / "source"
    named = {}
    for name, (path, text) in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        named[name] = PublicFile.of(folder, path)
    (folder / "notes.txt").write_text("CANARY-8371")
    save(make_federation(prior=PriorGraph(**named)), folder / FILE_NAME)
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_agreement_and_what_it_names_are_copied_and_nothing_else(source: Path, target: Path) -> None:
    copied = copy_agreement(source / FILE_NAME, target)
    before, after = contents(source), contents(target)
    assert before.pop("notes.txt")
    assert after == before
    assert copied == load(source / FILE_NAME)
    assert copied.digest == load(target / FILE_NAME).digest


def test_a_copy_does_not_follow_what_happens_to_the_original(source: Path, target: Path) -> None:
    copied = copy_agreement(source / FILE_NAME, target)
    save(copied.changed({"training.rounds": "7"}), source / FILE_NAME)
    (source / "prior" / "edges.csv").write_text("a,b\n")
    assert load(target / FILE_NAME) == copied


def lose_agreement(folder: Path) -> None:
    (folder / FILE_NAME).unlink()


def garble(folder: Path) -> None:
    (folder / FILE_NAME).write_bytes(b"name = \xff")


def lose_file(folder: Path) -> None:
    (folder / "hierarchy.csv").unlink()


def change_file(folder: Path) -> None:
    (folder / "prior" / "sets" / "pathways.csv").write_text("pathway,gene\nalpha,GENE1\n")


@pytest.mark.parametrize(
    ("spoil", "kind", "where"),
    [
        (lose_agreement, MissingFileError, FILE_NAME),
        (garble, UnreadableFileError, f"{FILE_NAME}, line 1"),
        (lose_file, MissingFileError, "hierarchy.csv"),
        (change_file, IntegrityError, "prior/sets/pathways.csv"),
    ],
)
def test_an_agreement_that_is_not_whole_is_not_copied_by_half(
    source: Path, target: Path, spoil: Callable[[Path], None], kind: type[InputError], where: str
) -> None:
    spoil(source)
    with pytest.raises(kind) as refused:
        copy_agreement(source / FILE_NAME, target)
    assert refused.value.where == str(source / where)
    assert contents(target) == {}


def test_a_disk_that_fails_leaves_no_copy_that_could_be_taken_for_whole(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The federation file comes last: what has none is no agreement."""
    replace = Path.replace

    def dies(path: Path, to: Path) -> Path:
        if to.name == FILE_NAME:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(path, to)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(OSError) as failed:
        copy_agreement(source / FILE_NAME, target)
    assert failed.value.errno == errno.ENOSPC
    assert set(contents(target)) == {path for path, _ in FILES.values()}


def test_public_files_can_be_copied_for_another_agreement(source: Path, target: Path) -> None:
    copy_public_files(load(source / FILE_NAME), source, target)
    assert set(contents(target)) == {path for path, _ in FILES.values()}


def test_an_agreement_says_its_public_files(source: Path, make_federation: Callable[..., Federation]) -> None:
    assert [file.path for file in load(source / FILE_NAME).public_files] == [
        path for path, _ in FILES.values()
    ]
    assert make_federation().public_files == ()
