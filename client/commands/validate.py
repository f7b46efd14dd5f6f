"""Command `consilium validate`: figures of the adopted release on labelled records."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from client.site_folder.places import Home
from client.validation.page import page
from client.validation.report import ValidationReport, validate
from common.errors import OptionError
from common.files import write_whole
from common.lifetime.named_output import require_output

JSON, PAGE = "validation.json", "validation.html"


def validate_into(
    home: Home,
    tables: Path | None,
    since: date | None,
    horizons: Sequence[float],
    thresholds: Sequence[float],
    out: Path | None,
) -> ValidationReport:
    """Validate, and write JSON and a page into a folder if one is named.

    Raises:
        InputError: if thresholds or the folder are not usable, and as `validate`; nothing is written then.
        OSError: if a file cannot be written.
    """
    for threshold in thresholds:
        if not 0 < threshold < 1:
            raise OptionError(
                f"--threshold {threshold:g}", "is no risk between 0 and 1", "give one such as 0.1"
            )
    if out is not None:
        if out.exists() and not out.is_dir():
            raise OptionError(str(out), "is a file", "name a folder")
        kept = [home.folder] if tables is None else [home.folder, tables]
        for name in (JSON, PAGE):
            require_output(out / name, kept)
    report = validate(home, tables, since, horizons, sorted(set(thresholds)))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / JSON, report.model_dump_json(indent=2).encode() + b"\n", 0o600)
        write_whole(out / PAGE, page(report.labelled).encode(), 0o600)
    return report
