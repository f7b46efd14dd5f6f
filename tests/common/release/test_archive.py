import io
import zipfile
from collections.abc import Callable

import pytest

from common.release.archive import ArchiveError, packed, unpacked

MEMBERS = {
    "manifest.json": b"{}",
    "agreement/federation.toml": b"name = 1\n",
    "empty": b"",
    "größe": b"\x00\xff",
}


def zipped(write: Callable[[zipfile.ZipFile], object]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        write(archive)
    return content.getvalue()


def test_members_come_back_in_order_and_any_zip_program_reads_them() -> None:
    content = packed(MEMBERS)
    assert list(unpacked(content).items()) == list(MEMBERS.items())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == MEMBERS
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_same_members_give_the_same_bytes_and_another_order_gives_others() -> None:
    assert packed(MEMBERS) == packed(dict(MEMBERS))
    assert packed(MEMBERS) != packed(dict(reversed(MEMBERS.items())))


def test_every_changed_missing_or_added_byte_is_refused() -> None:
    content = packed(MEMBERS)
    for index in range(len(content)):
        for bit in (1, 128):
            changed = bytearray(content)
            changed[index] ^= bit
            with pytest.raises(ArchiveError):
                unpacked(bytes(changed))
        with pytest.raises(ArchiveError):
            unpacked(content[:index])
    for longer in (content + b"\0", b"\0" + content, content + content):
        with pytest.raises(ArchiveError):
            unpacked(longer)


@pytest.mark.parametrize(
    "name",
    [
        "../up",
        "/root",
        "a/../../b",
        "a//b",
        "./a",
        "",
        "C:\\x",
        "c:x",
        "a\\b",
        "line\nbreak",
        "tail/",
        "n" * 251,
    ],
)
def test_a_name_that_leads_elsewhere_is_neither_written_nor_read(name: str) -> None:
    with pytest.raises(ArchiveError):
        packed({name: b"x"})
    if name:
        with pytest.raises(ArchiveError):
            unpacked(zipped(lambda archive: archive.writestr(zipfile.ZipInfo(name), b"x")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_compressed_repeated_and_commented_members_are_refused() -> None:
    def compressed(archive: zipfile.ZipFile) -> None:
        archive.writestr("a", b"0" * 1000, compress_type=zipfile.ZIP_DEFLATED)

    def repeated(archive: zipfile.ZipFile) -> None:
        archive.writestr("a", b"1")
        archive.writestr("a", b"2")

    def commented(archive: zipfile.ZipFile) -> None:
        archive.writestr(zipfile.ZipInfo("a"), b"1")
        archive.comment = b"more"

    def timed(archive: zipfile.ZipFile) -> None:
        archive.writestr(zipfile.ZipInfo("a", (2020, 1, 1, 0, 0, 0)), b"1")

    for write in (compressed, repeated, commented, timed):
        with pytest.raises(ArchiveError):
            unpacked(zipped(write))


def many(archive: zipfile.ZipFile) -> None:
    for number in range(201):
        archive.writestr(zipfile.ZipInfo(str(number)), b"")


def test_too_many_members_are_refused() -> None:
    with pytest.raises(ArchiveError):
        packed({str(number): b"" for number in range(201)})
    with pytest.raises(ArchiveError):
        unpacked(zipped(many))
