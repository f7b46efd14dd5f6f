"""The environment by which products are computed with reproducible kernels."""

import os
import subprocess
import sys

import pytest

from client.privacy.kernels import KERNELS, choose_kernels


def test_kernels_are_asked_for_unless_the_environment_names_others(monkeypatch: pytest.MonkeyPatch) -> None:
    (name, value), *_ = KERNELS.items()
    monkeypatch.delenv(name, raising=False)
    choose_kernels()
    assert os.environ[name] == value
    monkeypatch.setenv(name, "COMPATIBLE")
    choose_kernels()
    assert os.environ[name] == "COMPATIBLE"


def test_a_process_that_trains_asks_for_them_before_its_first_product() -> None:
    program = "import client.app, os; print(os.environ['MKL_CBWR'])"
    plain = {name: value for name, value in os.environ.items() if name not in KERNELS}
    run = subprocess.run(
        [sys.executable, "-c", program], env=plain, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == KERNELS["MKL_CBWR"]
