"""The example of a page in docs/extending.md, run as it stands."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def test_the_example_of_a_page_is_a_page() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("\n## A page\n")[2]
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found
    names: dict[str, object] = {}
    exec(found[1], names)
    page = str(names["page"])
    assert page.startswith("<!DOCTYPE html>")
    assert "kept: round 2" in page
    assert 'data-value="1204"' in page
