"""Stored zip archive with one possible form: the same members give the same bytes.

Nothing is compressed, no time and no permission is kept, and names are UTF-8. The reader takes that form alone: it
reads members in order, writes them anew and compares, so that no byte of a file is without a meaning.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping

LARGEST = 1 << 30
"""Bytes of an archive at the most."""


MOST_MEMBERS = 200


LONGEST_NAME = 250
"""Bytes of a member's name at the most."""


_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s4H2IH")


_LOCAL_SIGN, _CENTRAL_SIGN, _END_SIGN = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


_NEEDED, _MADE_BY = 20, 3 << 8 | 20


_UTF8, _STORED = 0x800, 0


_TIME, _DATE = 0, 1 << 5 | 1
"""Midnight of 1 January 1980, the first moment that the format can name."""


_PERMISSIONS = 0o100644 << 16


class ArchiveError(ValueError):
    """Content that is no archive of this form; the text says what is wrong with the file."""


def packed(members: Mapping[str, bytes]) -> bytes:
    """Write an archive of these members in their order.

    Raises:
        ArchiveError: if a name is unfit, or there is too much.
    """
    if len(members) > MOST_MEMBERS:
        raise ArchiveError(f"has more than {MOST_MEMBERS} members")
    parts, directory, offset = list[bytes](), list[bytes](), 0
    for name, content in members.items():
        _require_plain(name)
        encoded, size, check = name.encode(), len(content), zlib.crc32(content)
        common = (_UTF8, _STORED, _TIME, _DATE, check, size, size, len(encoded), 0)
        local = _LOCAL.pack(_LOCAL_SIGN, _NEEDED, *common) + encoded
        entry = _CENTRAL.pack(_CENTRAL_SIGN, _MADE_BY, _NEEDED, *common, 0, 0, 0, _PERMISSIONS, offset)
        parts += [local, content]
        directory.append(entry + encoded)
        offset += len(local) + size
        if offset > LARGEST:
            raise ArchiveError(f"has more than {LARGEST >> 20:,} MiB")
    listed = b"".join(directory)
    end = _END.pack(_END_SIGN, 0, 0, len(members), len(members), len(listed), offset, 0)
    return b"".join([*parts, listed, end])


def unpacked(content: bytes) -> dict[str, bytes]:
    """Read the members of an archive in their order.

    Raises:
        ArchiveError: if the file has any other form.
    """
    if len(content) > LARGEST:
        raise ArchiveError(f"has more than {LARGEST >> 20:,} MiB")
    members: dict[str, bytes] = {}
    for name, member in _members(content):
        if name in members:
            raise ArchiveError(f"holds {name} twice")
        members[name] = member
        if len(members) > MOST_MEMBERS:
            raise ArchiveError(f"has more than {MOST_MEMBERS} members")
    whole = packed(members)
    if content != whole:
        what = (
            "has bytes after its end"
            if content.startswith(whole)
            else "is damaged or was packed by another program"
        )
        raise ArchiveError(what)
    return members


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    offset = 0
    while content.startswith(_LOCAL_SIGN, offset):
        if offset + _LOCAL.size > len(content):
            raise ArchiveError("is cut off")
        _, _, _, method, _, _, _, size, plain_size, name_size, extra = _LOCAL.unpack_from(content, offset)
        if method != _STORED or size != plain_size:
            raise ArchiveError("has a compressed member")
        if name_size > LONGEST_NAME or extra:
            raise ArchiveError("is damaged or was packed by another program")
        start = offset + _LOCAL.size + name_size
        if start + size > len(content):
            raise ArchiveError("is cut off")
        try:
            name = content[offset + _LOCAL.size : start].decode()
        except UnicodeDecodeError:
            raise ArchiveError("has a member whose name is no text") from None
        _require_plain(name)
        yield name, content[start : start + size]
        offset = start + size
    if not offset:
        raise ArchiveError("is no archive of a release")


def _require_plain(name: str) -> None:
    """Refuse a name that could lead out of the folder into which somebody unpacks the archive."""
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or ":" in name or {"", ".", ".."} & {*parts}:
        raise ArchiveError("has a member whose name is no path below a folder")
    if len(name.encode()) > LONGEST_NAME:
        raise ArchiveError("has a member whose name is too long")
