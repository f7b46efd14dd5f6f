"""Classical arms: linear models of single hospitals, and several models on pooled data."""

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
from simulations.baselines.null_model import null_prediction
from simulations.families.single_site import agreement_of_one
from simulations.results.schema import ARM_NAMES, Arm


class ClassicalArms:
    """The classical models of one task in one fold.

    Args:
        task: task to predict.
        seed: seed of all random draws.
        stage: called with the model that is fitted.

    Attributes:
        notes: models that could not be fitted, with reasons.
    """

    def __init__(self, task: Task, seed: int, stage: Callable[[str], None]) -> None:
        self._task, self._seed, self._stage = task, seed, stage
        self.notes: list[str] = []

    def alone(
        self, cohorts: Sequence[Cohort], federation: Federation, fold: int, test: PatientBatch
    ) -> list[Prediction]:
        """Fit a penalised linear model of each hospital alone.

        Such a model suits few patients better than a network.
        """
        models: list[Prediction] = []
        arm = baselines.linear(self._task)
        if arm is None:
            return models
        self._stage(f"{self._task.name}, each hospital's own linear model")
        for cohort in cohorts:
            training = cohort.batch.select(cohort.fold != fold)
            agreement = agreement_of_one(federation, cohort.site)
            try:
                preprocessing = combine([site_statistics(training, agreement)], agreement)
            except InputError:
                continue
            restricted_test = preprocessing.apply(restricted(test, training))
            model = self._fitted(arm, preprocessing.apply(training), restricted_test, preprocessing)
            models += [] if model is None else [model]
        return models

    def pooled(
        self, preprocessing: Preprocessing, training: PatientBatch, test: PatientBatch
    ) -> dict[str, Sequence[Prediction]]:
        """Fit the classical models on pooled data, standardised as in the federation."""
        name = self._task.name
        train, held = preprocessing.apply(training), preprocessing.apply(test)
        arms: dict[str, Sequence[Prediction]] = {}
        for arm in baselines.applicable(self._task):
            self._stage(f"{name}, {arm} on pooled data")
            prediction = self._fitted(arm, train, held, preprocessing)
            if prediction is None:
                self.notes.append(f"{ARM_NAMES[arm]}: could not be fitted for {name}.")
            else:
                arms[arm] = [prediction]
        labels, labelled = (of[name].numpy() for of in (training.labels, training.labelled))
        null = null_prediction(self._task, labels.astype(float), labelled, len(test))
        if null is not None:
            arms["null"] = [null]
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
        """Predictions of a model, or None if its library cannot fit it, such as to one outcome only."""
        prepared = preprocessing.cuts.get(self._task.name)
        try:
            return baselines.fit_predict(arm, self._task, train, test, prepared, self._seed)
        # lifelines' and numpy's failures to converge are ValueErrors
        except (InputError, ValueError, ArithmeticError):
            return None


def restricted(test: PatientBatch, seen: PatientBatch) -> PatientBatch:
    """Remove modalities from the test patients that no patient in `seen` has."""
    observed = {
        name: mask if seen.observed[name].any() else torch.zeros_like(mask)
        for name, mask in test.observed.items()
    }
    return PatientBatch(test.values, observed, test.labels, test.labelled)
