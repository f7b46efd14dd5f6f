"""Launcher of a coordinator's runs: the installed `server.app` in place of `flwr-serverapp`.

Flower's SuperLink takes runs from any process of this machine, and Flower's `flwr-serverapp` would install and run the
code in their bundles. Here nothing of a bundle is installed or imported, and a run goes on only if its bundle is the
one that follows from the federation file in its folder, as `consilium coordinator run` makes it.

Written against flwr 1.41: the function behind `flwr-serverapp` runs as it is, with six names of its module replaced. A
contract test compares them with the installed Flower.
"""

import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flwr.app import Context, UserConfig

from common.agreement.agreement import FILE_NAME
from common.agreement.bundle import PACKAGE, RUN, bundle_hash
from common.agreement.loading import load_agreement
from common.errors import IntegrityError
from common.families.registry import family_of
from common.messages.inflating import largest_message
from common.processes.superexec import with_token
from server.home.run_folder import run_folder
from server.services.intake import write_allowance

COMMAND = "flwr-serverapp"


RUNTIME = "flwr.superlink.runtime.run_serverapp"


REPLACED = {
    "HttpGrid": ("runtime_api_address", "insecure", "root_certificates", "token"),
    "install_from_fab": ("fab_file", "install_dir", "skip_prompt"),
    "install_app_dependencies": ("project_dir", "launch_id", "run_id", "index_context"),
    "get_project_config": ("project_dir",),
    "get_fused_config_from_dir": ("project_dir", "override_config"),
    "run_": ("grid", "context", "server_app_dir", "server_app_attr", "loaded_server_app"),
}
"""Name -> its parameters in Flower."""


def run_server_app(arguments: Sequence[str]) -> None:
    """Be `flwr-serverapp` for one run, with these arguments; ends the process as Flower does."""
    runtime = importlib.import_module(RUNTIME)
    for name, replacement in replacements().items():
        setattr(runtime, name, replacement)
    sys.argv = [COMMAND, *with_token(arguments)]
    importlib.import_module("flwr.superlink.cli.flwr_serverapp").flwr_serverapp()


def replacements() -> dict[str, Callable[..., Any]]:
    """Functions in place of Flower's own, for one run."""
    from server.services.grid import BoundedGrid

    bundle = b""

    def install_from_fab(fab_file: bytes, *_: object, **__: object) -> None:
        """Nothing of a bundle is installed; it is kept to be compared."""
        nonlocal bundle
        bundle = fab_file

    def install_app_dependencies(*_: object, **__: object) -> None:
        """Nor anything it depends on."""

    def get_project_config(*_: object) -> dict[str, Any]:
        return {"tool": {"flwr": {"app": {"components": {"serverapp": f"{PACKAGE}'s own"}}}}}

    def get_fused_config_from_dir(_: object, override_config: UserConfig) -> UserConfig:
        config: UserConfig = {RUN: override_config.get(RUN, "")}
        require_ours(bundle, config)
        return config

    def run_(grid: BoundedGrid, context: Context, **_: object) -> Context:
        require_ours(bundle, context.run_config)
        from server.app import app

        out = run_folder(context.run_config, os.environ)
        grid.allowed = largest_reply(out)
        write_allowance(out, grid.allowed)
        app(grid=grid, context=context)
        return context

    replaced: dict[str, Callable[..., Any]] = {"HttpGrid": BoundedGrid} | {
        function.__name__: function
        for function in (
            install_from_fab,
            install_app_dependencies,
            get_project_config,
            get_fused_config_from_dir,
            run_,
        )
    }
    assert set(replaced) == set(REPLACED)
    return replaced


def largest_reply(out: Path) -> int:
    """Most bytes of a hospital's reply in the run of a folder, by the model that was agreed."""
    federation = load_agreement(out / FILE_NAME)
    family = family_of(federation)
    model = family.model(federation, family.public(federation, out), 0)
    return largest_message({name: tuple(tensor.shape) for name, tensor in model.state_dict().items()})


def require_ours(bundle: bytes, config: UserConfig) -> None:
    """Make sure that a bundle is the one of the run that the configuration names.

    Raises:
        InputError: if there is no such run, or its federation file gives another bundle.
    """
    out = run_folder(config, os.environ)
    if hashlib.sha256(bundle).hexdigest() != bundle_hash(load_agreement(out / FILE_NAME)):
        what = f"is not the bundle of run {out.name}, and is not started"
        raise IntegrityError("the bundle", what, "start runs by `consilium coordinator run` alone")


if __name__ == "__main__":
    run_server_app(sys.argv[1:])
