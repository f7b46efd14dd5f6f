"""Hierarchical multimodal graph network: nodes -> pathways -> modality -> patient -> heads.

Every parameter lives in an `nn.Linear` or `nn.LayerNorm` whose input has the patient as first dimension, apart from
the learnt task weights. A modality that a patient lacks is an absent token: its branch is not run for that patient.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from common.agreement.federation import Federation
from common.agreement.model_config import HierarchicalConfig
from common.models.attention import Attention, FusionLayer
from common.models.branch import Branch
from common.models.contrastive import agreement_loss
from common.models.federated import FederatedModel, Logits, TrainingOutputs
from common.models.graphs import Prior
from common.models.parameter_groups import ModelGroups, ParameterGroup
from common.models.parts import BranchPart, Parts
from common.models.static.patient_form import PatientForm
from common.patients.batch import PatientBatch
from common.records import moved
from common.tasks.task import Task


def _start_neutral(heads: nn.ModuleDict, tasks: tuple[Task, ...]) -> None:
    """Start heads with equal predictions for all patients.

    What the network adds to the linear scores starts at 0, and no step need undo a random first answer.
    """
    for task in tasks:
        head = heads[task.name]
        assert isinstance(head, nn.Linear)
        nn.init.zeros_(head.weight)
        nn.init.constant_(head.bias, task.neutral_bias)


class Encoding(NamedTuple):
    """Inputs of the heads: `fused` [B, width] and the modalities' additive `scores` by task."""

    fused: Tensor
    scores: dict[str, Tensor]


class HierarchicalMultimodalGNN(FederatedModel):
    """Model of a branch per modality, cross-attention, fusion and a head per task.

    The attention goes from the patient to the modalities that are present.
    """

    def __init__(self, federation: Federation, prior: Prior) -> None:
        super().__init__(federation, prior)
        config = HierarchicalConfig.of(federation.model)
        self.modalities = tuple(modality.name for modality in federation.modalities)
        self.demographic = next(
            (m.name for m in federation.modalities if m.node_kind.describes_patient), None
        )
        self.dropout, self.modality_dropout = config.dropout, config.modality_dropout
        nodes = len(federation.modality(self.demographic).nodes) if self.demographic else 0
        self.patient = nn.Linear(2 * nodes + 1, config.width)
        self.branches = nn.ModuleDict(
            {
                m.name: Branch(
                    m,
                    prior.topology[m.name],
                    prior.membership.get(m.name),
                    prior.hierarchy.get(m.name),
                    federation.tasks,
                    config,
                    fits_scores=federation.privacy is None,
                )
                for m in federation.modalities
            }
        )
        self.cross = Attention(config.width, config.heads)
        self.cross_norm = nn.LayerNorm(config.width)
        self.fusion = nn.ModuleList(
            FusionLayer(config.width, config.heads, config.dropout) for _ in range(config.fusion_layers)
        )
        self.heads = nn.ModuleDict(
            {task.name: nn.Linear(config.width, task.outputs) for task in federation.tasks}
        )
        # As large as the inputs of the additive scores: clipping should not take their room away for the heads.
        self.fused_scale = 1.0
        if federation.privacy is not None:
            self.fused_scale = config.width**-0.5
        _start_neutral(self.heads, federation.tasks)
        self.predictor: nn.Linear | None = None
        if federation.training.contrastive_weight > 0:
            self.predictor, self.views = nn.Linear(config.width, config.width), 2

    @classmethod
    def describe(cls, federation: Federation, parameters: Iterable[str]) -> ModelGroups:
        """Return the parameter groups: of modalities, of additive scores and of heads.

        Additive scores have a group per modality and task, heads a group per task.

        Linear are the additive scores and the biases of the heads.
        """
        names = list(parameters)
        tasks, modalities = [task.name for task in federation.tasks], [m.name for m in federation.modalities]
        groups = [ParameterGroup.SHARED, *(_head_group(task) for task in tasks)]
        for modality in modalities:
            groups += [_branch_group(modality), *(_score_group(modality, task) for task in tasks)]
        linear = frozenset(name for name in names if _is_linear(name))
        return ModelGroups({name: _group(name) for name in names}, linear, tuple(groups))

    def parts(self) -> Parts:
        """Return branches, fusion and heads, beside the linear scores."""
        branches = {}
        for name in self.modalities:
            branch = self.branches[name]
            assert isinstance(branch, Branch)
            branches[name] = BranchPart(branch.squeeze, branch.network, branch.stacks)
        shared = (self.patient, self.cross, self.cross_norm, self.fusion)
        return Parts(
            branches,
            linear=self.additive,
            widths={task.name: task.score_width for task in self.federation.tasks},
            weights={
                "fusion": [parameter for module in shared for parameter in module.parameters()],
                "heads": list(self.heads.parameters()),
            },
            heads=[head for head in self.heads.values() if isinstance(head, nn.Linear)],
        )

    def static_form(self) -> PatientForm | None:
        """Return a copy that computes every branch for every patient.

        None with code of other packages: nobody knows whether operations of their layers and subclasses follow from
        numbers.
        """
        layers = set(HierarchicalConfig.of(self.federation.model).node_layers)
        if type(self) is not HierarchicalMultimodalGNN or not layers <= {"gcn", "gat"}:
            return None
        model = deepcopy(self, {id(self.federation): self.federation})
        branches = {name: model.branches[name] for name in self.modalities}
        return PatientForm(model, {name: part for name, part in branches.items() if isinstance(part, Branch)})

    def encode(self, batch: PatientBatch) -> Encoding:
        """Compute the inputs of the heads; finite also for a patient with nothing observed."""
        patient = self._patient(batch)
        tokens, present = [patient], list[Tensor]()
        for name in self.modalities:
            here = batch.present(name)
            if self.training and self.modality_dropout:
                here = here & (torch.rand(len(here), device=here.device) >= self.modality_dropout)
            tokens.append(self.branches[name](batch.values[name], batch.observed[name], here))
            present.append(here)
        present.insert(0, torch.ones_like(present[0]))
        sequence, mask = torch.stack(tokens, dim=1), moved(torch.stack(present, dim=1), patient.device)
        attended = self.cross_norm(patient[:, None] + self.cross(patient[:, None], sequence, mask))
        sequence = torch.cat([attended, sequence[:, 1:]], dim=1)
        for layer in self.fusion:
            sequence = layer(sequence, mask)
        return Encoding(sequence[:, 0], self._scores(batch))

    def predict(self, encoding: Encoding) -> Logits:
        """Compute logits [B, outputs] by task."""
        fused = dropout(encoding.fused, self.dropout, self.training) * self.fused_scale
        return {name: head(fused) + encoding.scores[name] for name, head in self.heads.items()}

    def training_outputs(self, batch: PatientBatch) -> TrainingOutputs:
        """Compute logits and the distance of a patient's two dropout views (SimSiam)."""
        encoding = self.encode(batch)
        logits = self.predict(encoding)
        if self.predictor is None:
            return TrainingOutputs(logits)
        fused, other = encoding.fused, self.encode(batch).fused
        disagreement = agreement_loss(self.predictor(fused), other) + agreement_loss(
            self.predictor(other), fused
        )
        return TrainingOutputs(logits, disagreement)

    def linear_forward(self) -> Callable[[PatientBatch], Logits] | None:
        """Return `additive` while the heads' weights are 0, so that no logit reads the graph."""
        reads_graph = any(
            name.endswith("weight") and bool(parameter.any())
            for name, parameter in self.heads.named_parameters()
        )
        return None if reads_graph or self.predictor is not None else self.additive

    def additive(self, batch: PatientBatch) -> Logits:
        """Compute logits [B, outputs] by task from additive scores and biases alone.

        Equal to `forward` while the heads' weights are 0, for models without dropout.
        """
        nothing = self.patient.weight.new_zeros(len(batch), self.patient.out_features)
        scores = self._scores(batch)
        return {name: head(nothing) + scores[name] for name, head in self.heads.items()}

    def forward(self, batch: PatientBatch) -> Logits:
        """Compute logits [B, outputs] by task."""
        return self.predict(self.encode(batch))

    def _scores(self, batch: PatientBatch) -> dict[str, Tensor]:
        """Compute the sum of the modalities' additive scores by task [B, 1 or outputs].

        Of a patient's observed values all are in it, in training too: masks are for what the network adds.
        """
        totals: dict[str, Tensor] = {
            name: self.patient.weight.new_zeros(len(batch), 1) for name in self.heads
        }
        for name in self.modalities:
            branch = self.branches[name]
            assert isinstance(branch, Branch)
            # nobody's scores have no gradient, rather than one of 0, which weight decay would follow
            skips = self.federation.privacy is None and not branch.dense
            if skips and not bool(batch.present(name).any()):
                continue
            for task, score in branch.additive(batch.values[name], batch.observed[name]).items():
                totals[task] = totals[task] + score
        return totals

    def _patient(self, batch: PatientBatch) -> Tensor:
        ones = self.patient.weight.new_ones(len(batch), 1)
        if self.demographic is None:
            inputs = ones
        else:
            observed = batch.observed[self.demographic]
            inputs = torch.cat([batch.values[self.demographic] * observed, observed.float(), ones], dim=1)
        token: Tensor = self.patient(inputs)
        return token


def _group(parameter: str) -> ParameterGroup:
    """Return the averaging group of a parameter by its dotted name."""
    part, *rest = parameter.split(".")
    if part == "branches":
        return _score_group(rest[0], rest[2]) if rest[1] == "scores" else _branch_group(rest[0])
    return _head_group(rest[0]) if part == "heads" else ParameterGroup.SHARED


def _is_linear(parameter: str) -> bool:
    parts = parameter.split(".")
    return "scores" in parts or (parts[0] == "heads" and parts[-1] == "bias")


def _branch_group(modality: str) -> ParameterGroup:
    return ParameterGroup(f"branches.{modality}", modality)


def _score_group(modality: str, task: str) -> ParameterGroup:
    return ParameterGroup(f"branches.{modality}.scores.{task}", modality, task)


def _head_group(task: str) -> ParameterGroup:
    return ParameterGroup(f"heads.{task}", None, task)
