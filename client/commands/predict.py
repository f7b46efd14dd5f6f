"""Command `consilium predict`: forecasts for patients by the adopted release.

What it returns names patients. It goes to the hospital's own terminal, or into a file that the person names and nobody
else can read; nothing of it is logged.
"""

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from client.prediction.forecasts import Forecasts
from client.prediction.predictor import predictor_of
from client.site_folder.places import Home
from client.site_folder.releases import open_adopted
from client.site_folder.site_file import parse_site_file
from common.errors import OptionError, StateError
from common.files import write_whole
from common.lifetime.named_output import require_output
from common.prediction.network import released_network


class Form(StrEnum):
    """Form in which forecasts are written."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"

    @classmethod
    def of(cls, as_json: bool, as_html: bool) -> "Form":
        """Return the form that is asked for.

        Raises:
            OptionError: if two are.
        """
        if as_json and as_html:
            raise OptionError("--json and --html", "are two forms of one file", "ask for one of them")
        return cls.JSON if as_json else cls.HTML if as_html else cls.TEXT

    def write(self, forecasts: Forecasts) -> str:
        """Write forecasts in this form."""
        if self is Form.HTML:
            return forecasts.html()
        return forecasts.model_dump_json(indent=2) if self is Form.JSON else "\n".join(forecasts.lines())


def predict(
    home: Home,
    tables: Sequence[Path],
    horizons: Sequence[float],
    explain: bool = False,
    out: Path | None = None,
    enrichment: bool = False,
) -> Forecasts:
    """Predict for patients of this hospital.

    Args:
        home: the site folder.
        tables: files of modalities' tables, or folders that hold them, with this hospital's column names.
        horizons: in the unit of the federation file's survival tasks; empty for years up to the follow-up.
        explain: whether every prediction is explained.
        out: file into which the forecasts will be written, which must be none of the site's or the tables.
        enrichment: whether enriched pathways are named, which needs explanations of ten patients.

    Raises:
        InputError: if no release is adopted, or it is not as it was adopted; the tables do not suffice; or `out` would
            replace a file that is needed.
    """
    release, site = open_adopted(home), parse_site_file(home.folder)
    predictor = predictor_of(release.agreement)
    files = predictor.files(tables, site, release.agreement)
    if out is not None:
        require_output(out, [home.folder, *files.values()])
    return predictor.predict_files(released_network(release), files, site, horizons, explain, enrichment)


def require_outlet(out: Path | None, form: Form = Form.TEXT) -> None:
    """Require that forecasts go to a terminal or into a named file, and pages into a file.

    Raises:
        OptionError: if pages have no file.
        StateError: if standard output is a pipe or another file, whose readers nobody knows.
    """
    if out is None and form is Form.HTML:
        raise OptionError("--html", "writes a page, which no terminal shows", "name its file with --out")
    if out is None and not sys.stdout.isatty():
        what = "is no terminal, and forecasts name patients"
        raise StateError(
            "standard output", what, "name a file with --out, which only you will be able to read"
        )


def write_forecasts(forecasts: Forecasts, out: Path, form: Form) -> None:
    """Write forecasts into a file that only its owner can read.

    Raises:
        OSError: if it cannot be written.
    """
    write_whole(out, form.write(forecasts).encode() + b"\n", 0o600)
