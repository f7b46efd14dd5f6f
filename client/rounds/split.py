"""Split of a site's records by seed: training, validation, calibration and test."""

from typing import NamedTuple

import torch
from torch import Tensor

from common.agreement.settings import Training, set_aside
from common.assessment.part import Whose


class Split(NamedTuple):
    """Indices of a site's records by what they are for."""

    training: Tensor
    validation: Tensor
    calibration: Tensor
    test: Tensor

    def of(self, whose: Whose) -> Tensor:
        """Return the indices of the records that a part of an assessment is about."""
        if whose is Whose.HELD_OUT:
            return torch.cat([self.validation, self.calibration]).sort().values
        chosen: Tensor = getattr(self, whose.value)
        return chosen


def split(units: int, training: Training) -> Split:
    """Split records; the same seed gives the same split."""
    order = torch.randperm(units, generator=torch.Generator().manual_seed(training.seed))
    aside = set_aside(units, training)
    parts = order.split([*aside, units - sum(aside)])
    validation, calibration, test, trained = (part.sort().values for part in parts)
    return Split(trained, validation, calibration, test)
