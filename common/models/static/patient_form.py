"""Static form of a model of patients: branches compute everybody and mask who is absent."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from common.models.branch import Branch
from common.models.federated import FederatedModel
from common.models.layers import Pattern
from common.models.shared import Rows, StaticForm
from common.models.static.dense_layers import make_dense
from common.models.static.side_by_side import run_side_by_side
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing


class PatientForm(StaticForm):
    """Static form of a model with a branch per modality.

    Rows are [U, values and labels, 1 for a patient] float32 and [U, observed, labelled, present] bool. Without
    dropout of modalities the loss and its gradients are those of the original, up to rounding; with it the masks are
    drawn on the device.

    Args:
        model: a copy that nobody else uses; changed.
        branches: modality -> its branch in the copy, in the order in which they are called.
    """

    def __init__(self, model: FederatedModel, branches: Mapping[str, Branch]) -> None:
        self.model, self._federation = model, model.federation
        self._taking_part: dict[str, list[Tensor]] = {}
        self._prepared: Preprocessing | None = None
        self._present: dict[str, Tensor] = {}
        for name, branch in branches.items():
            branch.dense, branch.slot = True, 0
            branch.register_forward_pre_hook(partial(self._note, name))
        make_dense(model)
        if next(model.parameters()).device.type == "cuda":
            run_side_by_side(list(branches.values()))

    def _note(self, name: str, branch: Any, inputs: tuple[Tensor, Tensor, Tensor]) -> None:
        self._taking_part.setdefault(name, []).append(inputs[2])

    def rows(self, batch: PatientBatch) -> Rows:
        """Return the rows of the patients and one of nobody."""
        modalities, tasks = self._names
        whole = batch.padded(len(batch) + 1)
        present = torch.stack([whole.observed[name].any(1) for name in modalities], dim=1)
        numbers = [whole.values[name] for name in modalities] + [whole.labels[name] for name in tasks]
        is_patient = numbers[0].new_ones(len(whole), 1)
        is_patient[-1] = 0
        marks = [whole.observed[name] for name in modalities] + [whole.labelled[name] for name in tasks]
        return torch.cat([*numbers, is_patient], dim=1), torch.cat([*marks, present], dim=1)

    def records(self, rows: Rows) -> PatientBatch:
        """Return the patients of rows, with masks beside them."""
        modalities, tasks = self._names
        widths = [len(self._federation.modality(name).nodes) for name in modalities]
        widths += [len(task.columns) for task in self._federation.tasks]
        numbers = rows[0].split([*widths, 1], dim=1)
        marks = rows[1].split([*widths, len(modalities)], dim=1)
        count = len(modalities)
        batch = PatientBatch(
            dict(zip(modalities, numbers, strict=False)),
            dict(zip(modalities, marks, strict=False)),
            dict(zip(tasks, numbers[count:], strict=False)),
            dict(zip(tasks, marks[count:], strict=False)),
        )
        self._present = dict(zip(modalities, marks[-1].unbind(1), strict=True))
        self._taking_part = {}
        return batch.with_present(self._present)

    def counting(self, rows: Rows) -> Tensor:
        """Return 1 for patients and 0 for nobody, [B]."""
        return rows[0][:, -1]

    def prepared(self, prepared: Preprocessing) -> Preprocessing:
        """Return the constants of the losses; inputs are scaled before they become rows."""
        device = next(self.model.parameters()).device
        if self._prepared is None:
            cuts = {name: torch.empty_like(ends, device=device) for name, ends in prepared.cuts.items()}
            self._prepared = Preprocessing({}, {}, cuts)
        for name, ends in prepared.cuts.items():
            self._prepared.cuts[name].copy_(ends)
        return self._prepared

    def parts(self) -> Mapping[str, str]:
        """Name of a parameter -> modality whose patients alone move it."""
        groups = self.model.groups()
        return {
            name: _part(group.modality, group.task is not None)
            for name, group in groups.by_parameter.items()
            if group.modality is not None
        }

    def idle(self) -> Mapping[str, Tensor]:
        """Return 1 for parts of modalities that no patient of the last records had, in any view."""
        idle: dict[str, Tensor] = {}
        for name, masks in self._taking_part.items():
            idle[_part(name, False)] = _nobody(masks)
            idle[_part(name, True)] = _nobody([self._present[name]])
        return idle

    def without_sparse_products(self) -> bool:
        """Have the products along edges gather their rows."""
        patterns = [module for module in self.model.modules() if isinstance(module, Pattern)]
        before = [pattern.gather_rows() for pattern in patterns]
        return any(before)

    @property
    def _names(self) -> tuple[list[str], list[str]]:
        """Modalities and tasks in the order of the columns."""
        return [m.name for m in self._federation.modalities], [task.name for task in self._federation.tasks]


def _part(modality: str, of_scores: bool) -> str:
    return f"{modality}, scores" if of_scores else modality


def _nobody(masks: list[Tensor]) -> Tensor:
    return (~torch.cat(masks).any()).float()
