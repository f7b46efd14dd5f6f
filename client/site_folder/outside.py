"""The state folder outside the site folder, where counts are kept a second time."""

import os
from pathlib import Path

STATE_VARIABLE = "CONSILIUM_STATE"


def state_folder() -> Path:
    """Where what must outlive a site folder is kept.

    Raises:
        OSError: if there is no home folder to fall back on.
    """
    if own := os.environ.get(STATE_VARIABLE):
        return Path(own)
    if state := os.environ.get("XDG_STATE_HOME"):
        return Path(state) / "consilium"
    try:
        return Path.home() / ".local" / "state" / "consilium"
    except RuntimeError as error:
        raise FileNotFoundError(f"there is no home folder; set {STATE_VARIABLE}") from error
