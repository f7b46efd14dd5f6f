"""A line is on disk whole, or is cut off."""

from pathlib import Path

import pytest

from client.chained_log.lines import append_line, cut_unfinished, whole_lines


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    assert whole_lines(tmp_path / "log") == ([], b"")
    for line in (b"one", b"two"):
        append_line(tmp_path / "log", line)
    assert whole_lines(tmp_path / "log") == ([b"one", b"two"], b"")


@pytest.mark.parametrize("whole", [b"", b"one\n", b"one\ntwo\n"])
def test_what_a_crash_left_of_a_line_is_cut_off(tmp_path: Path, whole: bytes) -> None:
    log = tmp_path / "log"
    log.write_bytes(whole + b"thr")
    assert whole_lines(log)[1] == b"thr"
    cut_unfinished(log)
    assert log.read_bytes() == whole
    cut_unfinished(log)
    assert log.read_bytes() == whole
