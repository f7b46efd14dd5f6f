"""Limit on what a hospital's reply changes: as far as honest training can move a weight.

What lies within is not told from honest training, such as a change with its sign turned.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.agreement.agreement import Agreement
from common.agreement.reach import local_reach
from server.aggregation.averaging import Weights
from server.aggregation.replies import UnusableReplyError
from server.aggregation.robust import most_undeclared
from server.records.dropped import DropReason

TIMES_EXPECTED = 10
"""Times the patients for whom the privacy of a file is planned that a hospital of undeclared size can have."""

ROUNDING = 1e-6
"""Share of the largest weight by which float32 can round a changed one."""

RESIDUAL = 1.01
"""Factor by which an encoding can round a change up."""


class UpdateLimit:
    """Limit of every hospital in a round.

    Args:
        federation: the agreement.
        number: the round.
        sent: the weights that hospitals were sent.
        enrolled: hospital -> training patients of its statistics, which are within the declared size.
    """

    def __init__(
        self, federation: Agreement, number: int, sent: Weights, enrolled: Mapping[str, int]
    ) -> None:
        self._federation, self._number, self._sent, self._enrolled = federation, number, sent, enrolled
        self._largest = max((float(np.abs(array).max(initial=0.0)) for array in sent.values()), default=0.0)

    def check(self, site: str, weights: Mapping[str, NDArray[Any]]) -> None:
        """Compare weights of the model's names and shapes with those that were sent.

        Raises:
            UnusableReplyError: if one moved further than training can move it.
        """
        most = self._reach(self._patients(site)) + ROUNDING * self._largest
        for name, array in weights.items():
            change = array.astype(np.float64) - self._sent[name]
            if np.abs(change).max(initial=0.0) > most:
                raise UnusableReplyError(DropReason.UPDATE_IMPLAUSIBLE)

    def _reach(self, patients: int) -> float:
        """Return the most that a hospital moves a weight.

        An encoded change makes up for what earlier ones rounded away.
        """
        if self._federation.wire.update == "float32":
            return local_reach(self._federation, self._number, patients, self._largest)
        rounds = range(1, self._number + 1)
        reach = sum(local_reach(self._federation, number, patients, self._largest) for number in rounds)
        return RESIDUAL * reach

    def _patients(self, site: str) -> int:
        """Return the most patients that a hospital trains on."""
        declared, privacy = self._federation.declared_patients, self._federation.privacy
        if declared is not None:
            return declared[site]
        if privacy is not None:
            return int(TIMES_EXPECTED * privacy.expected_batch_size / privacy.sampling_rate) + 1
        limit = most_undeclared([float(patients) for patients in self._enrolled.values()])
        return min(self._enrolled[site], int(limit))
