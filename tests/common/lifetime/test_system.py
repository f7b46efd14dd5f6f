import subprocess
import sys

import pytest

BEGIN = {
    "windows": "import sys; sys.platform = 'win32'",
    "no module fcntl": "import sys; sys.modules['fcntl'] = None",
}


def started(begin: str, then: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", f"{begin}\n{then}"], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("begin", "then"),
    [
        *((begin, "from consilium.command import main; main()") for begin in BEGIN),
        ("no module fcntl", "import simulations.cli"),
        ("no module fcntl", "import client.cli"),
        ("no module fcntl", "import server.cli"),
    ],
)
def test_on_another_system_the_programs_end_with_a_sentence(begin: str, then: str) -> None:
    ended = started(BEGIN[begin], then)
    assert ended.returncode == 2
    assert "Linux" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_from_python_it_is_an_import_error() -> None:
    ended = started(
        BEGIN["windows"], "import consilium\ntry: consilium.simulate\nexcept ImportError as e: print(e)"
    )
    assert ended.returncode == 0
    assert "WSL" in ended.stdout
