"""Dense twin of the hierarchical network, for runtimes without sparse kernels and Python.

Graphs are products of dense matrices, absent modalities are masked, and the number of patients is a dimension of the
inputs and nowhere a number: `torch.export` and ONNX take no sparse tensor, no rows that the data choose, and no `len`.
"""

import copy

import torch
from torch import Tensor, nn

from common.errors import InvalidContentError
from common.models.branch import Branch
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.models.layers import GAT, GCN, Edges, Mixing, Pathways
from common.models.static.dense_layers import DenseEdges


class _Product(nn.Module):
    """Constant matrix [M, N], applied to the nodes of every patient."""

    matrix: Tensor

    def __init__(self, mixing: Mixing) -> None:
        super().__init__()
        self.register_buffer("matrix", mixing.matrix().detach(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix nodes x [B, N, F] -> [B, M, F]."""
        return torch.matmul(self.matrix, x)


class DenseTwin(nn.Module):
    """Twin of a network in evaluation mode, from standardised values to logits.

    Args:
        model: stays as it is.

    Raises:
        InvalidContentError: if the model is of another kind than the hierarchical network.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if not isinstance(model, HierarchicalMultimodalGNN):
            what = "has no dense twin"
            raise InvalidContentError(f"model {type(model).__name__}", what, "release it without --onnx")
        self.model = copy.deepcopy(model).eval()
        for module in list(self.model.modules()):
            if isinstance(module, GCN) and isinstance(module.mixing, Mixing):
                module.mixing = _Product(module.mixing)
            if isinstance(module, Pathways) and isinstance(module.mean, Mixing):
                module.mean = _Product(module.mean)
            if isinstance(module, GAT) and isinstance(module.graph, Edges):
                module.graph = DenseEdges(module.graph)
            if isinstance(module, Branch):
                module.dense = True

    def forward(self, values: list[Tensor], observed: list[Tensor]) -> tuple[Tensor, ...]:
        """Compute logits [B, outputs] by task, in the order of the federation file.

        Args:
            values: by modality in the order of the federation file, [B, nodes], 0 where not observed.
            observed: the same, bool.
        """
        model = self.model
        by_name = dict(zip(model.modalities, zip(values, observed, strict=True), strict=True))
        ones = torch.ones_like(values[0][:, :1])
        inputs = [ones]
        if model.demographic is not None:
            numbers, seen = by_name[model.demographic]
            inputs = [numbers * seen, seen.float(), ones]
        patient = model.patient(torch.cat(inputs, dim=1))
        tokens, present = [patient], [ones[:, 0] > 0]
        scores = {name: torch.zeros_like(ones) for name in model.heads}
        for name, (numbers, seen) in by_name.items():
            branch, here = model.branches[name], seen.any(1)
            assert isinstance(branch, Branch)
            tokens.append(branch(numbers, seen, here))
            present.append(here)
            for task, score in branch.additive(numbers, seen).items():
                scores[task] = scores[task] + score
        sequence, mask = torch.stack(tokens, dim=1), torch.stack(present, dim=1)
        attended = model.cross_norm(patient[:, None] + model.cross(patient[:, None], sequence, mask))
        sequence = torch.cat([attended, sequence[:, 1:]], dim=1)
        for layer in model.fusion:
            sequence = layer(sequence, mask)
        fused = sequence[:, 0] * model.fused_scale
        return tuple(head(fused) + scores[name] for name, head in model.heads.items())
