"""Training step in tensors that stay where they are, the same operations every time.

It is the step of `client.training.local`, computed on minibatches of one size, which nobody fills up. A GPU can replay
it (`client.training.replay.capture`); where it is not replayed, it computes the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from client.training.adamw import StaticAdamW
from client.training.device import Device
from client.training.round import Round
from common.models.shared import Rows, SharedModel, StaticForm
from common.records import Records, moved

LONGEST_STEP = 5.0
"""Norm to which gradients are shortened."""


@dataclass(frozen=True)
class StepTerms:
    """Terms of a step, which serves every round, fold and hospital that has the same.

    Attributes:
        units: rows of a minibatch, those of nobody included.
        trained: names of the parameters that move.
        weight_decay: of AdamW.
        proximal: weight of the pull to the round's first weights (FedProx); None without.
        device: where, in which precision, and whether it must repeat.
    """

    units: int
    trained: frozenset[str]
    weight_decay: float
    proximal: float | None
    device: Device

    @classmethod
    def of(cls, model: SharedModel, round_: Round, largest: int) -> "StepTerms":
        """Terms of a round whose largest minibatch has so many units."""
        settings, linear_rounds = round_.federation.training, round_.federation.linear_rounds
        return cls(
            units=rows_for(largest, settings.batch_size),
            trained=model.groups().trained_in(round_.number, linear_rounds),
            weight_decay=settings.weight_decay,
            proximal=settings.proximal_mu if settings.strategy == "fedprox" else None,
            device=round_.device,
        )


def rows_for(units: int, batch_size: int) -> int:
    """Return the rows of a step for so many units.

    It is the batch size, or a power of two that is enough: few sizes, and few captures, serve all hospitals.
    """
    return min(batch_size, 1 << max(0, units - 1).bit_length())


class StaticStep:
    """Step of a model's static form.

    Args:
        form: of the model.
        terms: of the step.
        round_: a round of the same agreement, for the loss.
        rows: of any records, for the widths.
    """

    def __init__(self, form: StaticForm, terms: StepTerms, round_: Round, rows: Rows) -> None:
        self.form, self.terms, self._family, self._federation = form, terms, round_.family, round_.federation
        device = terms.device.torch_device
        self._rows = tuple(matrix.new_zeros(terms.units, matrix.shape[1], device=device) for matrix in rows)
        self.total = torch.zeros((), dtype=torch.float64, device=device)
        self.losses = torch.zeros(terms.units, device=device)
        named = dict(form.model.named_parameters())
        self._parameters = list[Tensor](named.values())
        parts: dict[str | None, list[torch.nn.Parameter]] = {}
        of_part = form.parts()
        for name, parameter in named.items():
            if name in terms.trained:
                parts.setdefault(of_part.get(name), []).append(parameter)
            else:
                parameter.requires_grad_(False)
        self._parts = {name: list[Tensor](part) for name, part in parts.items()}
        self._trained = [parameter for part in self._parts.values() for parameter in part]
        self._optimiser = StaticAdamW(parts, terms.weight_decay)
        pulled = self._trained if terms.proximal else []
        self._anchor = {parameter: parameter.detach().clone() for parameter in pulled}
        self._prepared = form.prepared(round_.prepared)

    @torch.no_grad()
    def begin(self, model: SharedModel, rate: float, round_: Round) -> None:
        """Take over the weights, the learning rate and the preprocessing of a round."""
        torch._foreach_copy_(self._parameters, list[Tensor](model.parameters()))
        if self._anchor:
            torch._foreach_copy_(list(self._anchor.values()), list(self._anchor))
        self._optimiser.begin(rate)
        self._prepared = self.form.prepared(round_.prepared)
        self.form.model.train()

    @torch.no_grad()
    def finish(self, model: SharedModel) -> None:
        """Give a model the trained weights."""
        torch._foreach_copy_(list[Tensor](model.parameters()), self._parameters)

    def take(self, cohort: Rows, units: Tensor) -> None:
        """Take the rows of a minibatch [units], by index on the device, as the next ones."""
        for matrix, static in zip(cohort, self._rows, strict=True):
            torch.index_select(matrix, 0, units, out=static)

    def run(self) -> None:
        """Take one step."""
        terms = self.terms
        for parameter in self._trained:
            parameter.grad = None
        part = self.form.records(self._rows)
        with terms.device.autocast():
            by_unit = self._family.loss(self.form.model, part, self._federation, self._prepared)
            counting = self.form.counting(self._rows)
            losses = (by_unit * counting).sum()
        (losses / counting.sum()).backward()
        with torch.no_grad():
            self.total += losses.detach()
            self.losses.copy_(by_unit.detach())
        idle = self.form.idle()
        if terms.proximal:
            self._pull(terms.proximal, idle)
        torch.nn.utils.clip_grad_norm_(self._trained, LONGEST_STEP)
        self._optimiser.step(idle)

    @torch.no_grad()
    def _pull(self, weight: float, idle: Mapping[str, Tensor]) -> None:
        """Add the gradient of the proximal term, but for idle parts.

        The term is weight / 2 x squared distance to the round's first weights.
        """
        for name, part in self._parts.items():
            moved = {parameter: parameter.grad for parameter in part if parameter.grad is not None}
            away = torch._foreach_sub(list(moved), [self._anchor[parameter] for parameter in moved])
            if name is not None:
                torch._foreach_mul_(away, 1 - idle[name])
            torch._foreach_add_(list(moved.values()), away, alpha=weight)


def minibatch_rows(minibatches: Sequence[Tensor], units: int, nobody: int) -> Tensor:
    """Return the indices of minibatches [steps, units], filled up with nobody's."""
    table = torch.full((len(minibatches), units), nobody, dtype=torch.long)
    for row, chosen in zip(table, minibatches, strict=True):
        row[: len(chosen)] = chosen
    return table


def cohort_rows(form: StaticForm, batch: Records, device: Device) -> Rows:
    """Return the rows of a cohort and of nobody, on the device."""
    return tuple(moved(matrix, device.torch_device) for matrix in form.rows(batch))
