"""One site's sums over its training records, which add up over sites."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SiteStatistics:
    """Sums of a site, and how many of them it kept to itself.

    Attributes:
        moments: name -> float64 [3, N]: number observed, sum, sum of squares. The names are a family's
            (`common.families.family.Family.sums`).
        withheld: name -> how many of the N were left out for having too few units behind them.
    """

    moments: dict[str, NDArray[np.float64]]
    withheld: dict[str, int]
