"""Choice of the weights that a run keeps."""

import math
from dataclasses import dataclass, field

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.typing import NDArray

from server.aggregation.model_exchange import unpacked
from server.aggregation.scores import Losses, averaged, change, pooled

LONGEST = 8
"""Most rounds over which losses with noise are averaged."""


@dataclass(frozen=True)
class Validation:
    """Validation loss of the weights of a round.

    Attributes:
        loss: mean per patient; None if no hospital could tell.
        error: its standard error, noise apart.
        noise: standard deviation of the noise in it.
        losses: the hospitals' own.
    """

    loss: float | None = None
    error: float | None = None
    noise: float | None = None
    losses: Losses = field(default_factory=dict)


@dataclass
class Selection:
    """The latest weights whose validation loss is within one standard error of the lowest.

    The one-standard-error rule (Breiman et al. 1984) along the rounds: with few validation patients the lowest loss is
    mostly luck, and of models that cannot be told apart the later ranks patients better. As long as no loss is known,
    the last weights are kept.

    Two rounds are compared hospital by hospital (`server.aggregation.scores.change`): a hospital's losses choose no
    round by themselves.

    Where hospitals add noise to their losses, the losses of a round are the means over the last rounds, as many as
    bring the noise down to half the standard error, and `LONGEST` at most. The first such means are the first losses
    that are known, and two standard deviations of the noise that is left widen the margin: a lucky draw of noise in an
    early round must not win.

    What is added to the linear scores has to earn its place: from a floor on, only weights with a lower loss than the
    floor's are kept.

    Attributes:
        arrays: the weights.
        round: the round of training they come from.
        loss: their validation loss, None while unknown.
        lowest: the hospitals' losses in the round of the lowest loss; empty while none is known.
        margin: the standard error of that round's loss.
        waited: rounds since without one that could be kept.
        recent: the hospitals' losses of the last rounds, the latest one last; empty without noise.
        floor: the hospitals' losses of the weights that later ones must be better than; empty without such weights.
    """

    arrays: ArrayRecord
    round: int = 0
    loss: float | None = None
    lowest: Losses = field(default_factory=dict)
    margin: float = 0.0
    waited: int = 0
    recent: tuple[Losses, ...] = ()
    floor: Losses = field(default_factory=dict)

    def offer(self, arrays: ArrayRecord, number: int, validation: Validation, is_floor: bool = False) -> None:
        """Weigh the weights of a round against those kept.

        A floor is kept, and limits what is kept after it.
        """
        if is_floor:
            self.arrays, self.round, self.loss, self.floor = (
                arrays,
                number,
                validation.loss,
                validation.losses,
            )
            self.recent = ()
        if validation.losses and validation.noise:
            validation = self._averaged(validation, validation.noise)
        above = change(validation.losses, self.lowest) if validation.losses and self.lowest else None
        if validation.losses and (above is None or above < 0):
            self.lowest, self.margin, above = validation.losses, validation.error or 0.0, 0.0
        if is_floor:
            self.waited = 0
        elif self.floor and not (validation.losses and change(validation.losses, self.floor) < 0):
            self.waited += 1
        elif not self.lowest or (above is not None and above <= self.margin):
            self.arrays, self.round, self.loss, self.waited = arrays, number, validation.loss, 0
        else:
            self.waited += 1

    def _averaged(self, validation: Validation, noise: float) -> Validation:
        """Average the losses over the last rounds; unknown while there are too few of them."""
        error = validation.error or 0.0
        wanted = min(math.ceil((2 * noise / error) ** 2), LONGEST) if error > 0 else LONGEST
        self.recent = (*self.recent, validation.losses)[-LONGEST:]
        if len(self.recent) < wanted:
            return Validation(validation.loss)
        losses = averaged(self.recent[-wanted:])
        return Validation(pooled(losses), math.hypot(error, 2 * noise / math.sqrt(wanted)), None, losses)


@dataclass
class TailMean:
    """Mean of the weights over the second half of the rounds, kept under privacy.

    No loss says there which weights are best.

    Noise averages out over rounds (Polyak & Juditsky 1992), and as post-processing this costs no budget.
    """

    rounds: int
    sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    count: int = 0

    def add(self, arrays: ArrayRecord, number: int) -> None:
        """Weights after round `number`."""
        if number <= self.rounds // 2:
            return
        for name, array in unpacked(arrays).items():
            self.sums[name] = self.sums.get(name, 0.0) + array.astype(np.float64)
        self.count += 1

    def mean(self) -> ArrayRecord | None:
        """The mean so far; None before the second half."""
        if not self.count:
            return None
        return ArrayRecord({n: Array((s / self.count).astype(np.float32)) for n, s in self.sums.items()})
