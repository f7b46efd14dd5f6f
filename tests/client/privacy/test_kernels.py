"""The environment by which products are computed with reproducible kernels."""

import os

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
