"""Arguments that commands of `consilium site` share."""

from pathlib import Path
from typing import Annotated

import typer

SiteArgument = Annotated[Path, typer.Argument(metavar="SITE", help="Site folder, which holds site.toml.")]
