"""The public names of the package, and what importing it costs."""

import subprocess
import sys

import pytest

import consilium


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, consilium; assert 'simulate' in dir(consilium);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'pandas', 'numpy', 'flwr', 'pydantic')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", consilium.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert (getattr(consilium, name).__doc__ or "").strip()


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = consilium.nothing
