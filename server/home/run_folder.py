"""Folder of a run, found by the configuration that Flower hands to the run's processes."""

import re
from collections.abc import Mapping
from pathlib import Path

from flwr.app import UserConfig

from common.agreement.bundle import RUN
from common.errors import OptionError, StateError
from server.home.places import HOME_VARIABLE, CoordinatorHome

RUN_CONFIGURATION = "run configuration"


_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def run_folder(config: UserConfig, environ: Mapping[str, str]) -> Path:
    """Return the folder of a run, by its name and the environment of the coordinator's services.

    Raises:
        InputError: if the name is not that of a folder in the coordinator's `runs`.
    """
    remedy = "start runs by `consilium coordinator run` alone"
    if not (home := environ.get(HOME_VARIABLE)):
        raise StateError(HOME_VARIABLE, "is not set", "start the services by `consilium coordinator start`")
    name = config.get(RUN)
    if not isinstance(name, str) or not _RUN_NAME.fullmatch(name):
        raise OptionError(f"{RUN_CONFIGURATION}, {RUN}", "is not the name of a run", remedy)
    out = CoordinatorHome(Path(home)).runs / name
    if out.is_symlink() or not out.is_dir():
        raise OptionError(f"{RUN_CONFIGURATION}, {RUN}", "there is no such run", remedy)
    return out
