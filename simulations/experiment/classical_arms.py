"""Classical models beside the networks: each hospital's own linear one, and several on pooled data."""

from collections.abc import Callable, Sequence

import torch

from client.data.cohort import Cohort
from common.agreement.federation import Federation
from common.errors import InputError
from common.evaluation.predictions import Prediction
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing, combine, site_statistics
from common.tasks.task import OutcomeForm, Task
from simulations.baselines import registry as baselines
from simulations.experiment.arms import alone
from simulations.results.schema import ARM_NAMES, Arm


class ClassicalArms:
    """The classical models of one task in one fold.

    Args:
        task: what they predict.
        seed: of everything drawn.
        stage: hears what is fitted now.

    Attributes:
        notes: what could not be fitted, and why.
    """

    def __init__(self, task: Task, seed: int, stage: Callable[[str], None]) -> None:
        self._task, self._seed, self._stage = task, seed, stage
        self.notes: list[str] = []

    def alone(
        self, cohorts: Sequence[Cohort], federation: Federation, fold: int, test: PatientBatch
    ) -> list[Prediction]:
        """Every hospital's own penalised linear model, which suits few patients better than a network does."""
        models: list[Prediction] = []
        arm = baselines.linear(self._task)
        if arm is None:
            return models
        self._stage(f"{self._task.name}, each hospital's own linear model")
        for cohort in cohorts:
            own = cohort.batch.select(cohort.fold != fold)
            agreement = alone(federation, cohort.site)
            try:
                preprocessing = combine([site_statistics(own, agreement)], agreement)
            except InputError:
                continue
            known = preprocessing.apply(restricted(test, own))
            model = self._fitted(arm, preprocessing.apply(own), known, preprocessing)
            models += [] if model is None else [model]
        return models

    def pooled(
        self, preprocessing: Preprocessing, training: PatientBatch, test: PatientBatch
    ) -> dict[Arm, Sequence[Prediction]]:
        """The classical models on pooled data, standardised as the federation standardises."""
        name = self._task.name
        train, held = preprocessing.apply(training), preprocessing.apply(test)
        arms: dict[Arm, Sequence[Prediction]] = {}
        for arm in baselines.applicable(self._task):
            self._stage(f"{name}, {arm} on pooled data")
            prediction = self._fitted(arm, train, held, preprocessing)
            if prediction is None:
                self.notes.append(f"{ARM_NAMES[arm]}: could not be fitted for {name}.")
            else:
                arms[arm] = [prediction]
        if self._task.form is OutcomeForm.OTHER:
            kind = self._task.kind
            self.notes.append(f"{name}: of the classical models only the perceptron fits a {kind} task.")
        if self._task.form is OutcomeForm.TIME_TO_EVENT and "forest" not in baselines.applicable(self._task):
            self.notes.append(
                "The survival forest was left out: it needs scikit-survival, consilium[baselines]."
            )
        return arms

    def _fitted(
        self, arm: Arm, train: PatientBatch, test: PatientBatch, preprocessing: Preprocessing
    ) -> Prediction | None:
        """A model's predictions; None where its library cannot fit it, for instance to one outcome only."""
        prepared = preprocessing.cuts.get(self._task.name)
        try:
            return baselines.fit_predict(arm, self._task, train, test, prepared, self._seed)
        # lifelines' and numpy's failures to converge are ValueErrors
        except (InputError, ValueError, ArithmeticError):
            return None


def restricted(test: PatientBatch, seen: PatientBatch) -> PatientBatch:
    """The test patients without the modalities that nobody in `seen` has."""
    observed = {
        name: mask if seen.observed[name].any() else torch.zeros_like(mask)
        for name, mask in test.observed.items()
    }
    return PatientBatch(test.values, observed, test.labels, test.labelled)
