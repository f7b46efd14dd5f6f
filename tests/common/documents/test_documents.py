from pathlib import Path

import pytest

from common.documents.documents import documents_of, write_documents
from common.errors import OptionError
from common.release.release import ModelRelease
from tests.common.documents.conftest import Released


def test_all_documents_are_written_and_the_same_release_gives_the_same(
    release: ModelRelease, tmp_path: Path
) -> None:
    paths = write_documents(release, tmp_path / "new" / "card")
    names = {f"{name}.{end}" for name in ("tripod-ai", "probast-ai", "mi-claim") for end in ("md", "json")}
    assert {path.name for path in paths} == names | {f"model-card.{end}" for end in ("md", "json", "xml")}
    assert {path.name: path.read_bytes() for path in paths} == documents_of(release)
    assert write_documents(release, tmp_path / "new" / "card") == paths


def test_no_file_or_link_is_replaced_by_a_document(release: ModelRelease, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OptionError):
        write_documents(release, tmp_path / "file")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mi-claim.json").symlink_to(tmp_path / "file")
    with pytest.raises(OptionError):
        write_documents(release, folder)
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in folder.iterdir()] == ["mi-claim.json"]


def test_documents_hold_no_hint_of_where_they_were_made(released: Released) -> None:
    release = released()
    assert all(release.where.encode() not in content for content in documents_of(release).values())
