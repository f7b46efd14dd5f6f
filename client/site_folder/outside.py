"""State folder outside the site folder, and the node key by which a site's files lie there."""

import os
import pwd
from pathlib import Path

from client.site_folder.keys import read_public_key
from client.site_folder.places import Home
from common.node_keys import fingerprint

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


def user_name(uid: int) -> str:
    """Name of a user, or the number in a container that has no list of users."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"number {uid}"


def node_key_of(site: Path) -> str | None:
    """Fingerprint of a site's node key; None without one.

    A simulated hospital has none. Nothing can leave a folder without a key, for no receipt can be signed.

    Raises:
        InputError: if the public key was spoilt.
    """
    path = Home(site).public_key
    return fingerprint(read_public_key(path)) if path.exists() else None
