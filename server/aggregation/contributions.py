"""Trained weights of the hospitals that count in a round: all that a strategy sees."""

from collections.abc import Mapping
from dataclasses import dataclass

from common.models.parameter_groups import AveragingWeights
from server.aggregation.averaging import Average, Weights


@dataclass(frozen=True)
class Contributions:
    """Weights of the accepted hospitals, read from where they wait, one hospital at a time.

    Attributes:
        number: the round; the first is 1.
        sent: the weights that hospitals were sent.
        behind: hospital -> its weight in the average of every group.
        average: the mean, and the weights that wait for it.
    """

    number: int
    sent: Weights
    behind: Mapping[str, AveragingWeights]
    average: Average

    def mean(self) -> Weights:
        """The weighted mean per averaging group (`server.aggregation.averaging`), float32."""
        return self.average.of(self.behind)

    def weights(self, site: str) -> Weights:
        """The weights that a hospital returned, whether it trained them or not."""
        return self.average.weights(site)

    def contributors(self) -> dict[str, tuple[str, ...]]:
        """Parameter -> the hospitals that trained it, in order of name; perhaps none."""
        return {
            name: tuple(site for site in sorted(self.behind) if self.behind[site][group] > 0)
            for group, names in self.average.groups.items()
            for name in names
        }
