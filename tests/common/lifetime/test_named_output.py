"""A command's output takes the place of no device, link, folder or file that is needed."""

import os
from pathlib import Path

import pytest

from common.errors import OptionError
from common.lifetime.named_output import require_output


def test_a_new_file_and_an_earlier_output_may_be_written(tmp_path: Path) -> None:
    kept = tmp_path / "site"
    kept.mkdir()
    (tmp_path / "out.json").touch()
    for name in ("out.json", "new.json", "site/new.json", "none/new.json"):
        require_output(tmp_path / name, [kept, tmp_path / "absent.csv"])


def test_nothing_else_is_replaced(tmp_path: Path) -> None:
    site, table = tmp_path / "site", tmp_path / "clinical.csv"
    site.mkdir()
    for file in (site / "site.toml", table):
        file.touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "none")
    os.link(table, tmp_path / "same.csv")
    (tmp_path / "alias").symlink_to(site)
    for name in ("pipe", "link", "site", "", "site/site.toml", "alias/site.toml", "clinical.csv", "same.csv"):
        with pytest.raises(OptionError):
            require_output(tmp_path / name, [site, table])
    with pytest.raises(OptionError):
        require_output(Path(os.devnull), [])
