import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.lifetime.output import outlasting

WRITER = """
import sys
from common.lifetime.output import outlasting_output
with outlasting_output():
    for number in range(2000):
        print("\\u2212 line", number, flush=True)
open(sys.argv[1], "w").write("done")
"""


def writer(done: Path) -> list[str]:
    return [sys.executable, "-c", WRITER, str(done)]


def test_a_pipe_that_is_closed_takes_no_more_and_ends_nothing(tmp_path: Path) -> None:
    done = tmp_path / "done"
    with subprocess.Popen(writer(done), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, b"")
    assert done.exists()


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-1"])
def test_signs_that_an_encoding_lacks_are_replaced(tmp_path: Path, encoding: str) -> None:
    done = tmp_path / "done"
    variables = os.environ | {"PYTHONIOENCODING": encoding}
    ended = subprocess.run(writer(done), env=variables, capture_output=True, check=True)
    assert ended.stdout.startswith(b"? line 0\n")
    assert done.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this system")
def test_output_on_a_full_disk_is_an_error_at_the_end() -> None:
    code = (
        "from common.lifetime.output import outlasting_output\n"
        "try:\n with outlasting_output(): print('lost', flush=True); kept = 1\n"
        "except OSError as error: raise SystemExit(error.errno if kept else 1)"
    )
    with open("/dev/full", "w") as full:
        assert subprocess.run([sys.executable, "-c", code], stdout=full, check=False).returncode == 28


def test_a_stream_without_a_descriptor_stays_as_it_is() -> None:
    stream = io.StringIO()
    assert outlasting(stream) is stream


def test_a_stream_is_wrapped_once(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        wrapped = outlasting(file)
        assert wrapped is not file
        assert outlasting(wrapped) is wrapped
