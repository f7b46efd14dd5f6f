"""Protocol of predictions for a kind of record, and the one of an agreement's kind."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from client.prediction.beside import ModelsBeside
from client.prediction.forecasts import Forecasts
from client.prediction.judging import RecordsJudgement
from client.site_folder.site_file import SiteFile
from common.agreement.agreement import Agreement
from common.agreement.kinds import kind_named, part
from common.errors import InvalidContentError
from common.prediction.network import Network
from common.records import Records


class Performance(BaseModel):
    """Figures of a model for one task on a hospital's records.

    Attributes:
        task: its name.
        counts: labelled records, and events or those of every class or label.
        metric: title of the figure.
        value: of the figure; None where the records do not suffice for one.
    """

    model_config = ConfigDict(frozen=True)

    task: str
    counts: dict[str, int]
    metric: str
    value: float | None


A = TypeVar("A", bound=Agreement, contravariant=True)
R = TypeVar("R", bound=Records, contravariant=True)


class Predictor(Protocol[A, R]):
    """Predictions for a kind of record.

    Type parameters: the agreement's schema, and the records.
    """

    def files(self, given: Sequence[Path], site: SiteFile, agreement: A, /) -> dict[str, Path]:
        """Find the tables among files and folders: name in the federation file -> file.

        Raises:
            InputError: if there is none, or a file is none of them.
        """
        ...

    def predict_files(
        self,
        network: Network,
        files: Mapping[str, Path],
        site: SiteFile,
        horizons: Sequence[float],
        explain: bool = False,
        enrichment: bool = False,
        /,
    ) -> Forecasts:
        """Predict for the records in files, and explain the predictions if that is asked.

        An enrichment names the pathways of what matters most over all explanations.

        Raises:
            InputError: if they cannot be read, too little is observed, or a horizon is beyond the follow-up.
        """
        ...

    def predict_frames(
        self,
        network: Network,
        frames: Mapping[str, Any] | Any,
        site: SiteFile,
        horizons: Sequence[float],
        explain: bool = False,
        enrichment: bool = False,
        /,
    ) -> Forecasts:
        """Predict for the records in pandas tables.

        Raises:
            InputError: as `predict_files`.
        """
        ...

    def require_members(self, network: Network, where: str, /) -> None:
        """Require that forecasts can use all members of a release, from the file `where`.

        Raises:
            InputError: naming the member that is about other outcomes, or cannot be read.
        """
        ...

    def performance(self, network: Network, records: R, /) -> list[Performance]:
        """Judge the model on labelled records."""
        ...

    def validated(
        self,
        network: Network,
        records: R,
        horizons: Sequence[float],
        thresholds: Sequence[float],
        hospital: str,
        /,
    ) -> RecordsJudgement:
        """Judge risks, calibrated for a hospital, on labelled records by horizons and thresholds.

        Raises:
            InputError: if a horizon is beyond what the model has seen.
        """
        ...

    def beside(self, alone: Network, together: Network, records: R, /) -> list[ModelsBeside]:
        """Judge a hospital's own model and the federated one on the same labelled records."""
        ...

    def since(self, folder: Path, site: SiteFile, day: date, /) -> NDArray[np.bool_]:
        """Return whether each record [U] of a site folder is of this day or a later one.

        Raises:
            InputError: if the site file names no column of dates, or it cannot be read.
        """
        ...


AnyPredictor = Predictor[Agreement, Records]
"""A predictor as whoever does not know its records sees it."""


def predictor_of(agreement: Agreement) -> AnyPredictor:
    """Return the predictor of the agreement's kind of record.

    Raises:
        InputError: if there is none.
    """
    path = kind_named(agreement.kind).predictor
    if path is None:
        what = f"is about {agreement.kind}, for which there are no predictions"
        raise InvalidContentError(
            f"federation {agreement.name}", what, "ask whoever wrote the plug-in of this kind"
        )
    predictor: AnyPredictor = part(path)
    return predictor


def require_usable(network: Network, where: str) -> None:
    """Require that forecasts can use all members of a release, if its records have forecasts.

    Raises:
        InputError: as a predictor's `require_members`.
    """
    if kind_named(network.federation.kind).predictor is not None:
        predictor_of(network.federation).require_members(network, where)
