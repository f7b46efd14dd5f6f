"""Marks planted in a hospital's data, and every form in which one could be seen on its way out."""

import base64
import hashlib
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

COMPRESSED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
LARGEST = 10_000_000
"""Bytes of what is inflated."""


@dataclass(frozen=True)
class Sign:
    """The forms of one mark.

    Attributes:
        exact: bytes that are the mark wherever they stand.
        lower: the same in whatever case.
        apart: texts that are the mark unless they are part of a longer number or word, as of a digest.
    """

    exact: frozenset[bytes] = frozenset()
    lower: frozenset[bytes] = frozenset()
    apart: frozenset[bytes] = frozenset()

    def stands_in(self, content: bytes, lowered: bytes) -> bool:
        """Whether some bytes, given in their own case and in lower case, hold the mark."""
        return (
            any(form in content for form in self.exact)
            or any(form in lowered for form in self.lower)
            or any(form in content and _apart(form, content) for form in self.apart)
        )


Signs = Mapping[str, Sign]


def text_sign(text: str) -> Sign:
    """A text in any case, in 8, 16 or 32 bits a character, as hexadecimal digits, base64 or URL escapes, or hashed."""
    plain = text.encode()
    raw = [text.encode(coding) for coding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")]
    hashed = [hashlib.new(name, plain).digest() for name in ("md5", "sha1", "sha256", "sha512")]
    escaped = "".join(f"%{byte:02x}" for byte in plain)
    forms = {*raw, *(each.hex().encode() for each in (*raw, *hashed)), escaped.encode(), quote(text).encode()}
    exact = {*hashed, *(form for each in (*raw, *hashed) for form in _base64(each))}
    return Sign(exact=frozenset(exact), lower=frozenset(form.lower() for form in forms))


def number_sign(number: float) -> Sign:
    """A number as text with 5 digits or more, or as 4 or 8 bytes of a float, or of an integer if it has 5 digits."""
    texts = {f"{number:.{digits}g}" for digits in range(5, 17)} | {repr(number)}
    texts |= {f"{number:,.{digits}f}" for digits in range(5) if abs(number) >= 10 ** (4 - digits)}
    texts |= {f"{number:.{digits}{kind}}" for digits in range(4, 9) for kind in "eE"}
    packed = {struct.pack(kind, number) for kind in ("<f", ">f", "<d", ">d")}
    if abs(number) >= 10_000:
        packed |= {struct.pack(kind, round(number)) for kind in ("<i", ">i", "<q", ">q")}
    return Sign(exact=frozenset(packed), apart=frozenset(text.encode() for text in texts))


def _apart(form: bytes, content: bytes) -> bool:
    bounded = rb"(?<![0-9A-Za-z.])" + re.escape(form) + rb"(?![0-9A-Za-z])"
    return re.search(bounded, content) is not None


def _base64(raw: bytes) -> Iterator[bytes]:
    """Base64 of some bytes at every offset, without the digits that neighbours share."""
    for before in range(3):
        digits = base64.b64encode(bytes(before) + raw).rstrip(b"=")
        whole = digits[(0, 2, 3)[before] : len(digits) - bool((before + len(raw)) % 3)]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))


def seen(signs: Signs, *contents: bytes) -> set[str]:
    """Names of the marks that some bytes hold, also inside what is compressed in them."""
    found = set()
    for view in (view for content in contents for view in (content, *inflated(content))):
        lowered = view.lower()
        found |= {name for name, sign in signs.items() if sign.stands_in(view, lowered)}
    return found


def files_with(signs: Signs, folder: Path) -> dict[str, set[str]]:
    """Name of a file -> the marks in it, for all files of a folder that hold any."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files, f"there is nothing in {folder}"
    return {path.name: marks for path in files if (marks := seen(signs, path.read_bytes()))}


def inflated(content: bytes) -> Iterator[bytes]:
    """Everything in some bytes that begins like a compressed stream, as far as it can be read."""
    for start in COMPRESSED.finditer(content):
        try:
            yield zlib.decompressobj(47).decompress(content[start.start() :], LARGEST)  # zlib or gzip
        except zlib.error:
            continue
