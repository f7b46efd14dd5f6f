"""Entries of a lasting log stay, and one that was set back, moved away from its copy or lost is refused."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from pydantic import BaseModel

from client.chained_log import chain, end_copies, lock, site_log
from client.chained_log import lines as log_lines
from client.chained_log.site_log import SiteLog, acknowledge_records
from client.site_folder.keys import new_key
from common import files
from common.errors import Refusal, RefusalCode
from tests.client.kills import killed_at, lines_to_kill_at

MODULES = {module.__file__ for module in (site_log, end_copies, chain, log_lines, lock, files)}


class Question(BaseModel):
    """Stand-in for what a site keeps."""

    number: int


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def site(tmp_path: Path, state: Path) -> Path:
    return made(tmp_path / "site")


def made(folder: Path, count: int = 3) -> Path:
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "node_key.pub").write_bytes(new_key()[1])
    for number in range(count):
        add(folder, number)
    return folder


def log_of(site: Path) -> SiteLog[Question]:
    return SiteLog(site, "questions", Question)


def add(site: Path, number: int) -> None:
    with log_of(site).opened() as log:
        log.append(Question(number=number))


def numbers(site: Path) -> list[int]:
    return [content.number for content in log_of(site).contents()]


def refused(site: Path) -> RefusalCode:
    with pytest.raises(Refusal) as raised:
        numbers(site)
    return raised.value.code


def test_entries_stay_in_their_order(site: Path) -> None:
    assert numbers(site) == [0, 1, 2]
    add(site, 3)
    assert numbers(site) == [0, 1, 2, 3]


def cut(site: Path) -> None:
    path = log_of(site).path
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def changed(site: Path) -> None:
    path = log_of(site).path
    path.write_bytes(path.read_bytes().replace(b'"number":1', b'"number":7'))


def copy_gone(site: Path) -> None:
    for path in (site.parent / "state").rglob("*.json"):
        path.unlink()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "last line cut off": cut,
    "line changed": changed,
    "bytes that are no text": lambda site: log_of(site).path.write_bytes(b"\xff\xfe\n"),
    "file gone": lambda site: log_of(site).path.unlink(),
    "folder gone": lambda site: shutil.rmtree(log_of(site).path.parent),
    "copy gone": copy_gone,
    "copy spoilt": lambda site: [path.write_text("{}") for path in (site.parent / "state").rglob("*.json")],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_refused_until_it_is_acknowledged(site: Path, damage: str) -> None:
    DAMAGES[damage](site)
    assert refused(site) == RefusalCode.RECORD_INVALID
    assert acknowledge_records(site, "disk replaced") == ("questions",)
    add(site, 9)
    with log_of(site).opened() as log:
        assert log.contents[-1].number == 9
        ((before, loss),) = log.losses
    assert (before, loss.acknowledged) == (len(numbers(site)) - 1, "disk replaced")
    assert acknowledge_records(site, "again") == ()


def test_another_path_is_the_same_log_and_an_older_copy_is_not(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = shutil.copytree(site, tmp_path / "older")
    add(site, 3)
    assert refused(older) == RefusalCode.RECORD_INVALID
    moved = site.rename(tmp_path / "moved")
    assert numbers(moved) == [0, 1, 2, 3]
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "another-user"))
    assert refused(moved) == RefusalCode.RECORD_INVALID


def test_a_log_that_cannot_be_read_is_unavailable(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "file").touch()
    monkeypatch.setenv("CONSILIUM_STATE", str(site / "file"))
    assert refused(site) == RefusalCode.RECORD_UNAVAILABLE


def test_a_kill_at_any_line_loses_no_entry_and_raises_no_alarm(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun(name: str) -> Path:
        monkeypatch.setenv("CONSILIUM_STATE", str(memory / f"state-{name}"))
        return made(memory / name, 0)

    lines = lines_to_kill_at(MODULES, memory, partial(twice, begun("whole")))
    for line in lines:
        site = begun(str(line))
        assert killed_at(line, MODULES, partial(twice, site)) is (line < lines[-1])
        assert numbers(site) in ([], [0], [0, 1])
        add(site, 2)
    assert numbers(site) == [0, 1, 2]
    assert lines[-1] > 30


def twice(site: Path) -> None:
    add(site, 0)
    add(site, 1)
