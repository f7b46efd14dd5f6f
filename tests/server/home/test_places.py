import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from common.agreement.federation import FILE_NAME, Federation, load, save
from common.agreement.folder import copy_agreement
from common.agreement.prior_graph import PriorGraph, PublicFile
from common.errors import (
    InputError,
    IntegrityError,
    InvalidContentError,
    MissingFileError,
    StateError,
    UnreadableFileError,
)
from server.home.places import SETTINGS, create_home, exclusive, open_home


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_home_has_keys_for_its_owner_alone_and_a_draft_of_the_agreement(tmp_path: Path) -> None:
    home = create_home(tmp_path / "a" / "home", "hub.example.org", 9443, None)
    private = list(home.secrets.iterdir())
    assert {path.name for path in private} == {"ca.key", "server.pem", "superexec.secret"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
    settings = home.settings()
    assert (settings.host, settings.port) == ("hub.example.org", 9443)
    assert settings.internal_port != settings.port
    assert len(load(home.agreement / FILE_NAME).participants) == 2
    assert len(home.superexec_secret.read_bytes()) == 64


def test_a_new_home_has_its_proxys_configuration(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home", "localhost", 9443, None)
    text = (home.proxy / "nginx.conf").read_text()
    assert "listen 9443 ssl;" in text
    assert f"server 127.0.0.1:{home.settings().internal_port};" in text
    assert str(tmp_path) not in text


def test_two_homes_share_no_secret(tmp_path: Path) -> None:
    one, other = (create_home(tmp_path / name, "localhost", 9443, None) for name in "ab")
    for name in ("ca.key", "server.pem", "superexec.secret"):
        assert (one.secrets / name).read_bytes() != (other.secrets / name).read_bytes()


def test_an_agreement_is_copied_with_its_public_files(
    make_federation: Callable[..., Federation], tmp_path: Path
) -> None:
    source = tmp_path / "federation"
    (source / "prior").mkdir(parents=True)
    (source / "prior" / "edges.csv").write_text("a,b\nGENE0,GENE1\n")
    (source / "notes.txt").write_text("mine")
    prior = PriorGraph(edges=PublicFile.of(source, "prior/edges.csv"))
    save(make_federation(prior=prior), source / FILE_NAME)
    home = create_home(tmp_path / "home", "localhost", 9443, source)
    assert everything(home.agreement).keys() == {FILE_NAME, "prior/edges.csv"}
    assert load(home.agreement / FILE_NAME).digest == load(source / FILE_NAME).digest
    (source / "prior" / "edges.csv").write_text("a,b\nGENE0,GENE2\n")
    with pytest.raises(IntegrityError) as changed:
        copy_agreement(source / FILE_NAME, tmp_path / "copy")
    assert changed.value.where == str(source / "prior" / "edges.csv")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home", "localhost", 9443, None)
    before = everything(home.folder)
    with pytest.raises(StateError):
        create_home(tmp_path / "home", "localhost", 9443, None)
    assert everything(home.folder) == before


def test_one_command_at_a_time_changes_a_home(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home", "localhost", 9443, None)
    with exclusive(home), pytest.raises(StateError), exclusive(home):
        pass
    with exclusive(home):
        pass


@pytest.mark.parametrize("fails", ["host", "federation", "midway"])
def test_what_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    def broken(*_: object) -> bytes:
        raise OSError("no space left")

    host = "two words" if fails == "host" else "localhost"
    if fails == "midway":
        monkeypatch.setattr("server.home.places.certificate_bytes", broken)
    with pytest.raises((InputError, OSError)):
        create_home(tmp_path / "home", host, 9443, tmp_path / "none" if fails == "federation" else None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "kind", "where"),
    [
        (None, MissingFileError, ""),
        ("host =", UnreadableFileError, f"/{SETTINGS}, line 1"),
        ("host = 'a'", InvalidContentError, f"/{SETTINGS}, internal_port"),
    ],
)
def test_a_folder_that_is_no_home_is_told_in_a_sentence(
    tmp_path: Path, text: str | None, kind: type[InputError], where: str
) -> None:
    if text is not None:
        (tmp_path / SETTINGS).write_text(text)
    with pytest.raises(kind) as refused:
        open_home(tmp_path)
    assert refused.value.where == f"{tmp_path}{where}"


def test_every_file_of_a_new_home_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced: set[str] = set()
    replace = Path.replace

    def noted(self: Path, target: Path) -> Path:
        replaced.add(Path(target).name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", noted)
    home = create_home(tmp_path / "home", "localhost", 9443, None)
    assert {path.name for path in home.folder.rglob("*") if path.is_file()} <= replaced
