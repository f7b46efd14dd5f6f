"""Standard output and error that outlast their reader and any encoding.

A result is worth more than its display: a pipe that is closed (`| head -1`) and a terminal that has gone take no more,
and a sign that the terminal's encoding lacks is replaced. A disk that is full behind a redirection is told at the end.
"""

import errno
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Outlasting(io.FileIO):
    """File descriptor to which writing never fails; what cannot be written is dropped.

    Attributes:
        failure: of the first write that failed for another reason than that nobody reads any more.
    """

    failure: OSError | None = None

    def write(self, content: "ReadableBuffer", /) -> int:
        """Write bytes, and return their number, also of those that were dropped."""
        try:
            return super().write(content) or 0
        except OSError as error:
            if self.failure is None and not self._has_no_reader(error):
                self.failure = error
            return memoryview(content).nbytes

    def _has_no_reader(self, error: OSError) -> bool:
        """Whether an error says that a pipe was closed or a terminal has gone."""
        is_file = stat.S_ISREG(os.fstat(self.fileno()).st_mode)
        return error.errno == errno.EPIPE or (error.errno in (errno.EIO, errno.ENXIO) and not is_file)


def outlasting(stream: TextIO) -> TextIO:
    """Return a stream to the same descriptor that outlasts its reader.

    A stream without a descriptor, as a notebook and a test have it, is returned as it is.
    """
    if type(stream) is not io.TextIOWrapper or _descriptor(stream) is not None:
        return stream
    try:
        descriptor = stream.fileno()
        with suppress(OSError):
            stream.flush()
        raw = Outlasting(descriptor, "w", closefd=False)
    except (OSError, ValueError):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace" if stream.errors == "backslashreplace" else "replace",
        line_buffering=stream.line_buffering or os.isatty(descriptor),
        write_through=stream.write_through,
    )


def _descriptor(stream: TextIO | None) -> Outlasting | None:
    """The descriptor of a stream that outlasts its reader; None of another."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, Outlasting) else None


@contextmanager
def outlasting_output() -> Iterator[None]:
    """Replace standard output and error of this process by streams that outlast their readers.

    Raises:
        OSError: at the end, if standard output could not be written, as on a full disk.
    """
    before = sys.stdout, sys.stderr
    if sys.stdout is not None:
        sys.stdout = outlasting(sys.stdout)
    if sys.stderr is not None:
        sys.stderr = outlasting(sys.stderr)
    now = sys.stdout, sys.stderr
    try:
        yield
    finally:
        for stream in now:
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before
    if (raw := _descriptor(now[0])) is not None and raw.failure is not None:
        raise raw.failure
