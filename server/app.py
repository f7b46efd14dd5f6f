"""The coordinator's Flower apps: they read the run's configuration and coordinate."""

import logging
import os
from functools import partial
from pathlib import Path

from flwr.app import Context, UserConfig
from flwr.serverapp import Grid, ServerApp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.agreement.agreement import FILE_NAME
from common.agreement.loading import load_agreement
from common.errors import InputError
from common.reading.objections import invalid_content
from server.home.places import ENROLLED, CoordinatorHome
from server.home.run_folder import RUN_CONFIGURATION, run_folder
from server.home.run_lock import alone
from server.participants.countersignatures import read_countersignatures
from server.participants.enrolment import Enrolled, read_enrolled, read_withdrawn, withdrawn_sites
from server.reports.writing import report_at_end
from server.runs.checkpoint import Checkpoint
from server.runs.coordination import OnRound, coordinate
from server.runs.run_checkpoint import RunCheckpoint

log = logging.getLogger("consilium.run")


class RunConfig(BaseModel):
    """Settings of a run on one machine.

    Attributes:
        federation: the federation file.
        out: the folder for results.
        fold: patients of this fold are held out; -1 holds out none.
        seed: of the initial weights and everything drawn at the sites.
        name: of the run, by which hospitals know it again; empty for none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    federation: Path
    out: Path
    fold: int = Field(default=-1, ge=-1)
    seed: int = Field(default=0, ge=0, lt=2**31)
    name: str = ""

    @classmethod
    def of(cls, config: UserConfig) -> "RunConfig":
        """Read Flower's run configuration, whose other keys are for others.

        Raises:
            InputError: if a key is missing or does not fit.
        """
        try:
            return cls.model_validate(config)
        except ValidationError as error:
            raise invalid_content(RUN_CONFIGURATION, error, "give it with --run-config") from None


def server_app(
    on_round: OnRound | None = None, checkpoint: Checkpoint | None = None, is_assessed: bool = False
) -> ServerApp:
    """The ServerApp of a run on one machine, where every node is asked who it is.

    `on_round` hears of each exchange as it ends; `checkpoint` keeps the run's state; the kept weights may be assessed.
    """
    single = ServerApp()

    @single.main()
    def main(grid: Grid, context: Context) -> None:
        config = RunConfig.of(context.run_config)
        federation = load_agreement(config.federation)
        folder = config.federation.parent
        coordinate(
            grid,
            federation,
            folder,
            config.out,
            config.fold,
            config.seed,
            on_round,
            checkpoint=checkpoint,
            is_assessed=is_assessed,
            name=config.name,
        )

    return single


app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """A run of a coordinator, with the nodes of the hospitals that were enrolled as it began."""
    out = run_folder(context.run_config, os.environ)
    federation, enrolled = load_agreement(out / FILE_NAME), read_enrolled(out / ENROLLED)
    home = CoordinatorHome(out.parents[1])
    with alone(out, context.run_id):
        coordinate(
            grid,
            federation,
            out,
            out,
            seed=federation.training.seed,
            enrolled=enrolled,
            checkpoint=RunCheckpoint(out),
            countersignatures=read_countersignatures(out),
            withdrawn=partial(_withdrawn, home, enrolled),
            name=out.name,
        )
        report_at_end(out)


def _withdrawn(home: CoordinatorHome, enrolled: Enrolled) -> frozenset[str]:
    """Name the hospitals withdrawn up to now; a damaged file only costs the better reason."""
    try:
        return withdrawn_sites(enrolled, read_withdrawn(home.withdrawn))
    except (InputError, OSError) as error:
        log.warning("who was withdrawn cannot be read: %s", error)
        return frozenset()
