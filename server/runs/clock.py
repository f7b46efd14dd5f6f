"""Time of a run, passed in so that a test need not wait."""

from typing import Protocol


class Clock(Protocol):
    """Seconds that pass; the module `time` is one."""

    def monotonic(self) -> float:
        """Seconds since some moment in the past."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Let so many seconds pass."""
        ...
