"""Arguments and options that several commands share, each with its help."""

from pathlib import Path
from typing import Annotated

import typer

DataFolder = Annotated[
    Path | None,
    typer.Option(help="Folder with the public data sets; without it, $CONSILIUM_DATA is read."),
]

FiguresFile = Annotated[
    Path | None,
    typer.Option(help="JSON file to write the figures to; without it, they are only printed."),
]

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]

RunCohort = Annotated[str, typer.Argument(help="Cohort that the run was trained on, or its folder.")]

HeldOutFold = Annotated[int, typer.Option(min=0, help="Fold that the run held out.")]
