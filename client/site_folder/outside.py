"""State folder outside the site folder, with second copies of counts."""

import os
from pathlib import Path

STATE_VARIABLE = "CONSILIUM_STATE"


def state_folder() -> Path:
    """Folder of files that must outlive a site folder.

    Raises:
        OSError: if there is no home folder to fall back on.
    """
    if folder := os.environ.get(STATE_VARIABLE):
        return Path(folder)
    if state := os.environ.get("XDG_STATE_HOME"):
        return Path(state) / "consilium"
    try:
        return Path.home() / ".local" / "state" / "consilium"
    except RuntimeError as error:
        raise FileNotFoundError(f"there is no home folder; set {STATE_VARIABLE}") from error
