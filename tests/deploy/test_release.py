"""Release script: refuses what it cannot finish; what it makes can be checked by openssl and sha256sum alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def _run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, "PATH": PATH}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def key(tmp_path: Path) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path / "release.pem"
    made = _run(
        "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", str(path)
    )
    assert made.returncode == 0
    return path


@pytest.mark.parametrize("missing", ["arguments", "key", "key that signs no digest", "room"])
def test_it_refuses_what_it_cannot_finish(tmp_path: Path, key: Path, missing: str) -> None:
    out = tmp_path / "out"
    if missing == "room":
        out.mkdir()
    if missing == "key":
        key.write_text("no key")
    if missing == "key that signs no digest":
        assert _run("openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)).returncode == 0
    given = () if missing == "arguments" else (str(out), str(key))
    refused = _run(str(ROOT / "deploy/release.sh"), *given)
    assert refused.returncode == 2
    assert not out.exists() or not list(out.iterdir())


@pytest.mark.slow
def test_a_release_is_signed_whole_and_names_the_installed_code(tmp_path: Path, key: Path) -> None:
    clone, out, public = tmp_path / "clone", tmp_path / "out", tmp_path / "release.pub"
    assert _run("git", "clone", "--quiet", str(ROOT), str(clone)).returncode == 0
    made = _run("deploy/release.sh", str(out), str(key), cwd=clone)
    assert made.returncode == 0, made.stderr
    assert {"site.txt", "torch-cpu.txt", "torch-cuda.txt", "sbom.cdx.json", "code.sha256"} < {
        path.name for path in out.iterdir()
    }
    expected = _run(
        sys.executable, "-P", "-c", "from common.installed_code import *; print(code_hash())", cwd=clone
    )
    assert (out / "code.sha256").read_text() == expected.stdout

    assert _run("openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public)).returncode == 0
    verify = (
        "openssl",
        "dgst",
        "-sha256",
        "-verify",
        str(public),
        "-signature",
        "SHA256SUMS.sig",
        "SHA256SUMS",
    )
    assert _run(*verify, cwd=out).returncode == 0
    assert _run("sha256sum", "--check", "SHA256SUMS", cwd=out).returncode == 0
    with next(out.glob("*.whl")).open("ab") as wheel:
        wheel.write(b"x")
    assert _run("sha256sum", "--check", "SHA256SUMS", cwd=out).returncode != 0
    with (out / "SHA256SUMS").open("a") as sums:
        sums.write("\n")
    assert _run(*verify, cwd=out).returncode != 0
