"""Protocol of a study: all that an experiment asks of the kind of record on which it trains.

An experiment trains together, alone and pooled, and knows records by a `Study` alone, chosen by `kind` in the
federation file (`simulations.families.registry`).
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from client.families.reader import Holding
from client.site_folder.site_file import SiteFile
from common.agreement.agreement import Agreement
from common.agreement.privacy_settings import Privacy
from common.models.shared import SharedModel
from common.records import Records
from server.records.result import TrainedModel
from simulations.report.plots.drawing import Evidence
from simulations.results.reasons import Cause
from simulations.results.schema import Hospital, Outcome

Rows = NDArray[np.intp]
"""Numbers of held-out units."""

Q = TypeVar("Q")
A = TypeVar("A", bound=Agreement)
C = TypeVar("C", bound=Agreement, contravariant=True)


class HeldOut(Protocol[Q]):
    """Held-out units of one fold for one question, with the predictions of every arm.

    Type parameter: predictions of one model for all these units.
    """

    @property
    def arms(self) -> Mapping[str, Sequence[Q]]:
        """Arm -> predictions of its models; `local` has one model per site, the others one."""
        ...

    @property
    def groups(self) -> Sequence[str]:
        """Subgroup of every unit."""
        ...

    @property
    def divisions(self) -> Mapping[str, Sequence[str]]:
        """Division, such as the hospital -> group of every unit, empty for a unit that is in none."""
        ...

    def __len__(self) -> int:
        """Number of held-out units."""
        ...

    def scores(self, prediction: Q, rows: Rows | None = None, /) -> dict[str, float]:
        """Score one model by every metric over the units at `rows`, or over all."""
        ...

    def events(self, rows: Rows, /) -> int | None:
        """Count the units at `rows` with the event, or a case; None for a question without any."""
        ...

    def fewest(self, rows: Rows, /) -> int | None:
        """Count the units at `rows` with the outcome that fewest have.

        None for a question without outcomes of which some units have each.
        """
        ...

    def headline(self, prediction: Q, rows: Rows | None = None, /) -> float:
        """Score one model by the metric that compares the arms; more is better."""
        ...


@dataclass(frozen=True)
class ClassicalPredictions(Generic[Q]):
    """Predictions of models that are no federation, for one fold.

    Attributes:
        arms: question -> arm -> predictions of its models.
        notes: models that could not be fitted, with reasons.
        causes: question -> site -> cause for which it has no linear model of its own.
    """

    arms: Mapping[str, Mapping[str, Sequence[Q]]]
    notes: Sequence[str] = ()
    causes: Mapping[str, Mapping[str, Cause]] = field(default_factory=dict)


class Cohorts(Protocol[C, Q]):
    """Records of all sites of an experiment, read once through the sites' own reader."""

    @property
    def described(self) -> Mapping[str, Hospital]:
        """Site -> its size, in the order of the site folders."""
        ...

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """Question -> its kind and headline metric."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """Sentences on what may be wrong in the sites' tables, without a value of one unit."""
        ...

    def labelled(self, question: str, /) -> Mapping[str, int]:
        """Site -> number of units for which the answer to a question is known."""
        ...

    def held_out_of(self, question: str, folds: Sequence[int], /) -> Mapping[str, int]:
        """Site -> its units in these folds for which the answer to a question is known."""
        ...

    def lacking(self, question: str, fold: int, /) -> Mapping[str, Cause]:
        """Site -> what is missing in its training units to learn the answer to a question.

        A site that can learn it alone is left out.
        """
        ...

    def training_sizes(self, folds: Sequence[int], /) -> list[int]:
        """Training units of every site in every fold."""
        ...

    def held_out(self, fold: int, /) -> int:
        """Number of units that a fold holds out."""
        ...

    def training_sample(self, fold: int, /) -> Records:
        """Training units of a fold, at most some hundreds of all sites.

        A model's parts are watched on them.
        """
        ...

    def predict(
        self, model: SharedModel, trained: TrainedModel, agreement: C, fold: int, site: str | None = None, /
    ) -> dict[str, Q]:
        """Predict the held-out units of all sites by question.

        Args:
            model: the body for the trained weights.
            trained: weights and preprocessing.
            agreement: under which they were trained; its questions are predicted.
            fold: fold that was held out.
            site: the only site that trained; what it never saw is masked.
        """
        ...

    def classical(
        self, fold: int, federated: TrainedModel, seed: int, stage: Callable[[str], None], /
    ) -> ClassicalPredictions[Q]:
        """Fit the models that are usual for the kind of record.

        `stage` is called with the model that is fitted.
        """
        ...

    def judged(self, fold: int, arms: Mapping[str, Mapping[str, Sequence[Q]]], /) -> dict[str, HeldOut[Q]]:
        """Held-out units of a fold by question, with the predictions of every arm."""
        ...

    def evidence(self, folds: Sequence[Mapping[str, HeldOut[Q]]], /) -> Evidence:
        """Curves of the federated model on held-out units, for the report."""
        ...


class Study(Protocol[A, Q]):
    """Simulation of one kind of record.

    Type parameters: the agreement's schema, and predictions of one model for one question.
    """

    def published(self, site: Path, file: SiteFile, agreement: A, /) -> Tensor:
        """Read the [U] folds in which the tables of a site folder hold units out; -1 for none.

        Args:
            site: the folder.
            file: its `site.toml`, which names a column of folds.
            agreement: the agreement of the sites.

        Raises:
            InputError: if the folds cannot be read.
        """
        ...

    def strata(self, holding: Holding, agreement: A, /) -> Sequence[Hashable]:
        """Stratum of every unit of a site; drawn folds spread each as evenly as its size allows."""
        ...

    def under(self, agreement: A, privacy: Privacy, /) -> A:
        """Return the agreement under terms of privacy, without settings that contradict them."""
        ...

    def about(self, agreement: A, questions: Sequence[str], /) -> A:
        """Return the agreement with some of its questions alone."""
        ...

    def cohorts(
        self,
        sites: Sequence[Path],
        agreement: A,
        folds: Sequence[int],
        held_out_alone: bool,
        subgroups: Sequence[str] = (),
        /,
    ) -> Cohorts[A, Q]:
        """Read the site folders.

        Args:
            sites: site folders, real or played, that have folds.
            agreement: the agreement of the sites.
            folds: folds that are held out in turn.
            held_out_alone: keep no values of units outside these folds.
            subgroups: columns by which held-out units are divided besides, in the order asked for.

        Raises:
            InputError: if a site's tables are not valid, or no unit can be divided by a column of `subgroups`.
        """
        ...


AnyStudy = Study[Agreement, object]
"""A study as an experiment, which does not know its records, sees it."""
