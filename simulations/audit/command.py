"""Command `consilium privacy audit`: run, print, write and judge an audit."""

from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console

from common.json_output import print_json
from simulations.audit.audit import Request, run_audit
from simulations.audit.report import Audit
from simulations.audit.table import print_audit


def write_audit(
    request: Request,
    out: Path | None,
    console: Console | None = None,
    run: Callable[[Request, Callable[[str], None]], Audit] = run_audit,
    as_json: bool = False,
) -> bool:
    """Write `audit.json` and `roc.svg`, print the audit, and return whether every claim stands.

    `run` makes the audit and is called with its progress.

    Raises:
        InputError: for a request that gives no figures.
    """
    torch.set_num_threads(1)  # the steps are too small for more
    console = console or Console(stderr=as_json)
    request.check()
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    if console.is_terminal:
        with console.status("starting") as status:
            measured = run(request, status.update)
    else:
        measured = run(request, lambda text: None)
    if out is not None:
        from simulations.audit.roc_plot import write_roc

        measured.write(out)
        write_roc(measured, out)
    if as_json:
        print_json(measured)
    else:
        print_audit(measured, console)
    return not any(row.refuted for row in measured.rows)
