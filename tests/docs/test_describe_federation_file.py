"""Reference page of the federation file: it is current, and no key is undocumented."""

import json
import subprocess
import sys

import pytest

from docs.describe_federation_file import PAGE

PROGRAM = """
import json
from docs.describe_federation_file import page, undocumented
print(json.dumps([page(), list(undocumented())]))
"""


@pytest.fixture(scope="module")
def described() -> tuple[str, list[str]]:
    """Page and undocumented keys, without what other tests have registered in this process."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    page, undocumented = json.loads(ran.stdout)
    return page, undocumented


def test_the_page_is_current(described: tuple[str, list[str]]) -> None:
    assert PAGE.read_text(encoding="utf-8") == described[0]


def test_every_key_has_a_meaning_an_example_and_advice(described: tuple[str, list[str]]) -> None:
    assert described[1] == []
