import importlib
import inspect
import io
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.processes.superexec import EXECUTOR, end_text, start_task, with_token


def test_it_has_the_command_line_of_flowers_own() -> None:
    command = [sys.executable, "-P", "-m", "common.processes.superexec", "--help"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for option in ("--runtime-api-address", "--root-certificates", "--superexec-auth-secret-file"):
        assert option in printed


def test_a_task_gets_its_token_where_no_other_account_can_read_it(tmp_path: Path) -> None:
    told, token = tmp_path / "told", "ab" * 32
    script = 'import sys; print(sys.argv[2:], sys.stdin.read(), file=open(sys.argv[1] + ".tmp", "w"))'
    rename = f"{script}; import os; os.replace(sys.argv[1] + '.tmp', sys.argv[1])"
    command = [sys.executable, "-c", rename, str(told), "--token", token, "--insecure"]
    start_task(command)
    end = time.monotonic() + 30
    while not told.exists():
        assert time.monotonic() < end, "the task was not started"
    assert told.read_text().split("\n")[0] == f"['--token-stdin', '--insecure'] {token}"
    with pytest.raises(ValueError):
        start_task([sys.executable, "-c", "raise SystemExit"])


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("tell_work('train'); os.kill(os.getpid(), 9)", {"SIGKILL", "'train'"}),
        ("os.kill(os.getpid(), 15)", {"SIGTERM"}),
        ("tell_work('evaluate'); os._exit(3)", {"exit code 3", "'evaluate'"}),
        ("tell_work('train')", set()),
    ],
)
def test_a_task_that_was_killed_leaves_one_line_with_the_kind_of_its_message(
    caplog: pytest.LogCaptureFixture, end: str, words: set[str]
) -> None:
    script = f"import os; from common.processes.superexec import tell_work; {end}"
    start_task([sys.executable, "-c", script, "--token", "ab" * 32]).join(30)
    assert len(caplog.messages) == bool(words)
    assert all(word in caplog.text for word in words)
    assert "ab" * 32 not in caplog.text


def test_what_a_process_tells_of_its_work_is_cut_and_escaped() -> None:
    text = end_text("flwr-clientapp", 7, -9, "\x1b[2J" + "x" * 1000)
    assert text.isprintable()
    assert len(text) < 200


def test_flower_starts_tasks_by_the_names_that_are_replaced() -> None:
    """Its executor takes nothing but these from `subprocess`, and puts the token behind `--token`."""
    source = inspect.getsource(importlib.import_module(EXECUTOR))
    assert set(re.findall(r"subprocess\.(\w+)", source)) == {"Popen", "DEVNULL"}
    assert re.search(r'"--token",\s*spec\.token', source)


def test_flowers_own_commands_get_the_token_they_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("abcd\nmore"))
    assert with_token(["--token-stdin", "--insecure"]) == ["--token", "abcd", "--insecure"]
    assert with_token(["--token", "t", "--insecure"]) == ["--token", "t", "--insecure"]
