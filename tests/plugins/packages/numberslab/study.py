"""Study of numbers: readings are held out at random, and lines judged by their explained variance."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.families.played import read_played
from client.families.reader import Holding as Reading
from client.families.reader import sound
from client.site_folder.site_file import SiteFile
from common.agreement.privacy_settings import Privacy
from common.errors import OptionError
from common.models.shared import SharedModel
from server.records.result import TrainedModel
from simulations.families.study import ClassicalPredictions, HeldOut, Rows, Study
from simulations.report.plots.drawing import NoEvidence
from simulations.results.reasons import Cause
from simulations.results.schema import Hospital, Outcome

from . import FAMILY, READER, Holding, Line, Numbers, NumbersAgreement

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOutReadings:
    """Held-out y of one fold [H], and every arm's predictions of them."""

    y: Array
    arms: Mapping[str, Sequence[Array]]

    @property
    def groups(self) -> Sequence[str]:
        return ("all",) * len(self.y)

    @property
    def divisions(self) -> Mapping[str, Sequence[str]]:
        return {}

    def __len__(self) -> int:
        return len(self.y)

    def scores(self, prediction: Array, rows: Rows | None = None) -> dict[str, float]:
        rows = np.arange(len(self.y)) if rows is None else rows
        y = self.y[rows]
        mse = float(np.mean((prediction[rows] - y) ** 2))
        return {"r2": 1 - mse / float(np.var(y)), "mse": mse}

    def events(self, rows: Rows) -> int | None:
        return None

    def fewest(self, rows: Rows) -> int | None:
        return None

    def headline(self, prediction: Array, rows: Rows | None = None) -> float:
        return self.scores(prediction, rows)["r2"]


class NumbersCohorts:
    """Readings of all sites in memory."""

    def __init__(self, holdings: Sequence[Holding]) -> None:
        self._holdings = holdings
        self._readings = torch.cat([holding.records.table for holding in holdings])
        self._fold = torch.cat([holding.fold for holding in holdings])

    @property
    def described(self) -> Mapping[str, Hospital]:
        return {holding.site: Hospital(patients=len(holding.records)) for holding in self._holdings}

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        return {"y": Outcome(kind="number", metric="r2")}

    @property
    def warnings(self) -> Sequence[str]:
        return ()

    def labelled(self, question: str) -> Mapping[str, int]:
        return {holding.site: len(holding.records) for holding in self._holdings}

    def held_out_of(self, question: str, folds: Sequence[int]) -> Mapping[str, int]:
        return {
            holding.site: sum(int((holding.fold == fold).sum()) for fold in folds)
            for holding in self._holdings
        }

    def lacking(self, question: str, fold: int) -> Mapping[str, Cause]:
        return {}

    def training_sizes(self, folds: Sequence[int]) -> list[int]:
        return [int((holding.fold != fold).sum()) for holding in self._holdings for fold in folds]

    def held_out(self, fold: int) -> int:
        return int((self._fold == fold).sum())

    def training_sample(self, fold: int) -> Numbers:
        return Numbers(self._readings[self._fold != fold])

    def predict(
        self,
        model: SharedModel,
        trained: TrainedModel,
        agreement: NumbersAgreement,
        fold: int,
        site: str | None = None,
    ) -> dict[str, Array]:
        assert isinstance(model, Line)
        model.load_state_dict({name: torch.from_numpy(array) for name, array in trained.weights.items()})
        scale = FAMILY.unpacked(trained.preprocessing)
        with torch.no_grad():
            y = model(FAMILY.apply(Numbers(self._readings[self._fold == fold]), scale))["y"][:, 0]
        return {"y": (y * scale.spread[1] + scale.center[1]).double().numpy()}

    def classical(
        self, fold: int, federated: TrainedModel, seed: int, stage: Callable[[str], None]
    ) -> ClassicalPredictions[Array]:
        return ClassicalPredictions({})

    def judged(
        self, fold: int, arms: Mapping[str, Mapping[str, Sequence[Array]]]
    ) -> dict[str, HeldOut[Array]]:
        y = self._readings[self._fold == fold, 1].double().numpy()
        return {"y": HeldOutReadings(y, arms["y"])}

    def evidence(self, folds: Sequence[Mapping[str, HeldOut[Array]]]) -> NoEvidence:
        return NoEvidence()


class NumbersStudy:
    """Numbers as a kind of record to simulate."""

    def published(self, site: Path, file: SiteFile, agreement: NumbersAgreement) -> Tensor:
        return sound(READER.read(site, file, agreement)).fold

    def strata(self, holding: Reading, agreement: NumbersAgreement) -> Sequence[Hashable]:
        return ("all",) * len(holding.fold)

    def under(self, agreement: NumbersAgreement, privacy: Privacy) -> NumbersAgreement:
        return agreement.model_copy(update={"privacy": privacy.model_copy(update={"learn": "all"})})

    def about(self, agreement: NumbersAgreement, questions: Sequence[str]) -> NumbersAgreement:
        return agreement

    def cohorts(
        self,
        sites: Sequence[Path],
        agreement: NumbersAgreement,
        folds: Sequence[int],
        held_out_alone: bool,
        subgroups: Sequence[str] = (),
    ) -> NumbersCohorts:
        if subgroups:
            raise OptionError(f"--subgroups {subgroups[0]}", "divides no readings", "leave it out")
        holdings = [read_played(site, agreement) for site in sites]
        return NumbersCohorts([holding for holding in holdings if isinstance(holding, Holding)])


STUDY: Study[NumbersAgreement, Array] = NumbersStudy()
