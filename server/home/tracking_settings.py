"""Section `[tracking]` of `coordinator.toml`: sinks to which figures of runs are sent."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, field_validator

from common.extras import require_extra


class TrackingSettings(BaseModel):
    """Sinks of the figures of runs; without a sink nothing is sent.

    Attributes:
        mlflow: MLflow's tracking address, such as `sqlite:////srv/mlflow.db` or `https://mlflow.example.org`; its
            credentials come from MLflow's own environment variables.
        experiment: MLflow's experiment; the name of the federation by default.
        tensorboard: folder of event files, from the coordinator's folder on.
        hospitals: whether hospitals are named, and files that name them are sent along.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mlflow: str | None = None
    experiment: str | None = None
    tensorboard: Path | None = None
    hospitals: bool = False

    @field_validator("mlflow")
    @classmethod
    def _has_no_password(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme.startswith("http") and "@" in urlsplit(value).netloc:
            raise ValueError(
                "names a user; use MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
            )
        return value


def require_sinks(settings: TrackingSettings) -> None:
    """Make sure that the packages of the sinks are installed.

    Raises:
        MissingExtra: naming the one to install.
    """
    for sink in ("mlflow", "tensorboard"):
        if getattr(settings, sink) is not None:
            require_extra(sink, f"tracking.{sink}")
