"""The coordinator's Flower app: it reads the run's configuration and coordinates."""

from pathlib import Path

from flwr.app import Context, UserConfig
from flwr.serverapp import Grid, ServerApp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import InputError
from common.federation import load
from server.coordination import OnRound, coordinate
from server.enrolment import read_enrolled


class RunConfig(BaseModel):
    """What a run is given.

    Attributes:
        federation: the federation file.
        out: the folder for results.
        nodes: which node speaks for which site, as in `enrolled.json`; without it, as in a simulation, every node is
            asked who it is.
        fold: patients of this fold are held out; -1 holds out none.
        seed: of the initial weights and everything drawn at the sites.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    federation: Path
    out: Path
    nodes: str = ""
    fold: int = Field(default=-1, ge=-1)
    seed: int = Field(default=0, ge=0, lt=2**31)

    @classmethod
    def of(cls, config: UserConfig) -> "RunConfig":
        """Read Flower's run configuration, whose other keys are for others.

        Raises:
            InputError: if a key is missing or does not fit.
        """
        try:
            return cls.model_validate(config)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            raise InputError(f"run configuration, {key}", first["msg"], "give it with --run-config") from None


def server_app(on_round: OnRound | None = None) -> ServerApp:
    """A ServerApp; `on_round` hears of each exchange as it ends."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        config = RunConfig.of(context.run_config)
        federation = load(config.federation)
        folder = config.federation.parent
        enrolled = read_enrolled(Path(config.nodes)) if config.nodes else None
        coordinate(grid, federation, folder, config.out, config.fold, config.seed, on_round, enrolled)

    return app


app = server_app()
