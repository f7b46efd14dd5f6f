"""Codes of what was logged: a line's wording may change, its code may not."""

import pytest


def codes(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Codes of the records that have one, in the order of the log."""
    return [record.code for record in caplog.records if hasattr(record, "code")]
