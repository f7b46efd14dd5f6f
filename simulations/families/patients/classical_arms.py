"""Classical arms: linear models of single hospitals, and several models on pooled data."""

from collections.abc import Callable, Sequence

import torch

from client.data.cohort import Cohort
from common.agreement.federation import Federation
from common.agreement.single_site import agreement_of_one
from common.errors import InputError
from common.evaluation.predictions import Prediction
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing, combine, site_statistics
from common.tasks.task import Lack, OutcomeForm, Task
from simulations.baselines import registry as baselines
from simulations.results.reasons import NO_EVENTS, NO_LABELS, NOT_FITTED, ONE_OUTCOME, Cause
from simulations.results.schema import ARM_NAMES, Arm

CAUSES = {Lack.LABELS: NO_LABELS, Lack.EVENTS: NO_EVENTS, Lack.CONTRAST: ONE_OUTCOME}
"""Cause for which a hospital has no model of a task, by what its labels lack."""


class ClassicalArms:
    """The classical models of one task in one fold.

    Args:
        task: task to predict.
        seed: seed of all random draws.
        stage: called with the model that is fitted.

    Attributes:
        notes: models that could not be fitted, with reasons.
        causes: hospital -> cause for which it has no linear model of its own.
    """

    def __init__(self, task: Task, seed: int, stage: Callable[[str], None]) -> None:
        self._task, self._seed, self._stage = task, seed, stage
        self.notes: list[str] = []
        self.causes: dict[str, Cause] = {}

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
            model = self._own(arm, cohort, federation, fold, test)
            if isinstance(model, Cause):
                self.causes[cohort.site] = model
            else:
                models.append(model)
        return models

    def _own(
        self, arm: Arm, cohort: Cohort, federation: Federation, fold: int, test: PatientBatch
    ) -> Prediction | Cause:
        """Predictions of a hospital's own linear model of this task, or the cause for having none."""
        training = cohort.batch.select(cohort.fold != fold)
        lack = self._task.lack(training.labels[self._task.name], training.labelled[self._task.name])
        if lack is not None:
            return CAUSES[lack]
        # of this task alone: another, of which the hospital knows nothing, has no part in it
        agreement = agreement_of_one(federation, cohort.site).model_copy(update={"tasks": (self._task,)})
        try:
            preprocessing = combine([site_statistics(training, agreement)], agreement)
        except InputError as error:
            return Cause(code=error.code.value, text=str(error))
        restricted_test = preprocessing.apply(restricted(test, training))
        model = self._fitted(arm, preprocessing.apply(training), restricted_test, preprocessing)
        return NOT_FITTED if model is None else model

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
