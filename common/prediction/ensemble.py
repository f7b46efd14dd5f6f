"""Ensembles of trainings from different seeds, whose mean is predicted."""

from collections.abc import Mapping, Sequence

import numpy as np

from common.agreement.agreement import Agreement
from common.errors import OptionError
from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    NumberPrediction,
    Prediction,
    SurvivalPrediction,
)

FEWEST = 3
"""Members of an ensemble at the least: two that differ do not say which of them is the odd one."""


def require_ensemble(agreements: Mapping[str, Agreement]) -> None:
    """Require that trainings belong to one ensemble.

    Args:
        agreements: name of a run, for errors -> its federation file, the first member's first.

    Raises:
        OptionError: if there are too few, or a run's file differs from the first one's in more than its seed, or not
            in its seed.
    """
    (first, agreed), *others = agreements.items()
    seeds = {agreed.training.seed: first}
    for where, agreement in others:
        same = agreement.changed({"training.seed": str(agreed.training.seed)})
        if same.digest != agreed.digest:
            what = f"is a run of another federation file than {first}, and not only of another training.seed"
            raise OptionError(where, what, "name runs whose federation files differ in training.seed alone")
        twin = seeds.setdefault(agreement.training.seed, where)
        if twin != where:
            what = f"has the same training.seed {agreement.training.seed} as {twin}"
            raise OptionError(
                where, what, "name runs with different seeds: the same one trains the same model"
            )
    if len(agreements) < FEWEST:
        what = f"are {len(agreements)} runs, and an ensemble needs {FEWEST}"
        raise OptionError(" and ".join(agreements), what, "name more runs that differ in training.seed alone")


def mean_prediction(members: Sequence[Prediction]) -> Prediction:
    """Average the predictions of one task: survival at each time, probabilities, or numbers.

    Times are those of the first member up to the end that all members have seen.
    """
    first = members[0]
    if len(members) == 1:
        return first
    if isinstance(first, SurvivalPrediction):
        curves = [member for member in members if isinstance(member, SurvivalPrediction)]
        end = min(float(curve.times[-1]) for curve in curves)
        times = np.append(first.times[first.times < end], end)
        survival = np.mean([curve.at(times) for curve in curves], axis=0)
        return SurvivalPrediction(-survival.mean(1), times, survival)
    if isinstance(first, NumberPrediction):
        return NumberPrediction(
            np.mean([m.value for m in members if isinstance(m, NumberPrediction)], axis=0)
        )
    if isinstance(first, ClassPrediction | LabelPrediction):
        shares = [m.probability for m in members if isinstance(m, ClassPrediction | LabelPrediction)]
        return type(first)(np.mean(shares, axis=0))
    raise TypeError(f"predictions of {type(first).__name__} have no mean")
