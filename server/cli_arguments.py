"""Arguments that commands of `consilium coordinator` share, and their checks."""

from pathlib import Path
from typing import Annotated

import typer

HomeArgument = Annotated[Path, typer.Argument(metavar="HOME", help="The coordinator's folder.")]


def require_strategy(agreement: Path, draft: bool = False) -> None:
    """Make sure that the strategy of an agreement is registered; a draft may be unreadable yet."""
    from common.agreement.agreement import FILE_NAME
    from common.agreement.loading import load_agreement
    from common.errors import InputError
    from server.aggregation.registry import require_registered

    try:
        federation = load_agreement(agreement / FILE_NAME)
    except InputError:
        if draft:  # `coordinator run` reads the file again, and says what to correct
            return
        raise
    require_registered(federation.training)
