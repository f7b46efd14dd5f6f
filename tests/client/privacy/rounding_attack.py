"""Weights by which a coordinator makes the rounding of one sum decide where all patients' gradients point.

All patients enter the branch of the genes with the same values. Its linear map adds up to nearly 0, a layer
normalisation and weights of 10 turn the sign of what is left into a saturated logit, and the sign follows from the
order of summation.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from client.privacy.arithmetic import LARGEST, steady_slot
from client.privacy.clipping import patient_gradients
from client.privacy.kernels import KERNELS
from client.privacy.slots import clipped_sums
from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.agreement.model_config import HierarchicalConfig
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Participant, Training
from common.families.patient_loss import patient_loss
from common.models.federated import FederatedModel
from common.models.graphs import load_prior
from common.models.registry import initial_model
from common.patients.batch import PatientBatch
from common.patients.guarantee import made_up_patients
from common.privacy.planning import with_privacy
from common.tasks.response import ResponseTask
from tests.client.privacy.clipping_case import converted

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[3]
OTHER_KERNELS = {"MKL_CBWR": "AUTO"}
"""Environment of a process that rounds a row by the number of rows, on machines where ours rounds all alike."""
SMALL = HierarchicalConfig(
    width=32,
    heads=1,
    node_width=1,
    node_heads=1,
    pathway_width=1,
    gcn_layers=0,
    gat_layers=0,
    pathway_gat_layers=0,
    fusion_layers=0,
)


def agreement(
    genes: int,
    learn: str = "linear",
    noise: float = 14.22,
    batch_size: float = 1.0,
    model: HierarchicalConfig = SMALL,
) -> Federation:
    """An ordinary federation file about genes and a response."""
    whole = Federation(
        name="ordinary",
        modalities=(Modality(name="rna", node="gene", columns=tuple(f"G{i}" for i in range(genes))),),
        tasks=(ResponseTask(name="response", label="response", classes=("no", "yes")),),
        model=model,
        training=Training(rounds=30),
        participants=(Participant(name="one"),),
    )
    terms = {"noise_multiplier": noise, "sampling_rate": 1.0, "learn": learn}
    return with_privacy(whole, Privacy.model_validate(terms | {"expected_batch_size": batch_size}))


def constants(genes: int) -> Tensor:
    """The values with which every patient enters."""
    return torch.rand(genes, generator=torch.Generator().manual_seed(0)) * 4 + 4


def alike(federation: Federation, patients: int) -> PatientBatch:
    """Patients whom a spread without end has made equal; all responded, so that gradients add up."""
    genes = len(federation.modality("rna").nodes)
    return PatientBatch(
        {"rna": constants(genes).repeat(patients, 1)},
        {"rna": torch.ones(patients, genes, dtype=torch.bool)},
        {"response": torch.ones(patients, 1)},
        {"response": torch.ones(patients, 1, dtype=torch.bool)},
    )


@dataclass
class Attack:
    """A model with crafted weights."""

    federation: Federation
    model: FederatedModel

    def summed(self, patients: int, in_slots: bool) -> Tensor:
        """The clipped sum over so many patients, in the precision of the model."""
        federation = self.federation
        assert federation.privacy is not None
        device = next(self.model.parameters()).device
        batch, made_up = alike(federation, patients).to(device), made_up_patients(federation, LARGEST)
        precision = next(self.model.parameters()).dtype
        batch, made_up = converted(batch, precision), converted(made_up, precision)

        def loss(records: PatientBatch) -> Tensor:
            return patient_loss(self.model, records, federation, {})

        learnable = self.model.groups().learnable(federation.privacy)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in learnable)
        slot = steady_slot(self.model, loss, False, made_up, LARGEST)
        with patient_gradients(self.model) as gradients:
            if in_slots:
                sums = clipped_sums(gradients, batch, loss, slot, 1.0)
            else:
                sums = gradients.clipped_sum(lambda: loss(batch), patients, 1.0)
        return torch.cat([total.flatten() for total in sums])

    def sensitivity(self, patients: int, in_slots: bool = True) -> float:
        """Distance that the sum moves when one of so many patients leaves, in clip norms."""
        return float((self.summed(patients, in_slots) - self.summed(patients - 1, in_slots)).norm())


def rounded(layer: nn.Linear, given: Tensor, patients: int) -> Tensor:
    """Output of a layer for the first of so many equal patients, all in one product."""
    with torch.no_grad():
        first: Tensor = layer(given.expand(patients, -1).contiguous())[0]
    return first


def thresholds(
    federation: Federation, dtype: torch.dtype, most: int, device: torch.device = CPU
) -> list[int]:
    """Numbers of rows at which this machine begins to round the first one otherwise, found by trying."""
    draw = torch.Generator().manual_seed(1)
    genes, width = len(federation.modality("rna").nodes), HierarchicalConfig.of(federation.model).width
    layer = nn.Linear(genes, width, dtype=dtype, device=device)
    given = constants(genes).to(device, dtype)[None]
    with torch.no_grad():
        layer.weight.copy_(torch.rand(layer.weight.shape, generator=draw, dtype=dtype) - 0.5)
    first = [rounded(layer, given, rows) for rows in range(1, most + 1)]
    return [rows for rows in range(2, most + 1) if not torch.equal(first[rows - 1], first[rows - 2])]


def require_thresholds(found: object) -> None:
    """Skip a test where our kernels leave this machine no threshold; `hold_by_other_kernels` runs it by others."""
    if not found and all(os.environ.get(name) == value for name, value in KERNELS.items()):
        pytest.skip("our kernels round a row alike beside any number of others on this machine")


def hold_by_other_kernels(file: str, tests: str, federation: Federation) -> None:
    """Require that slots hold by themselves: run tests of a file in a process with kernels that have thresholds."""
    if not torch.backends.mkl.is_available() or thresholds(federation, torch.float32, 40):
        pytest.skip("this process' own kernels have thresholds, or there are no others")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "attack",
        "-k",
        tests,
        "-p",
        "no:cacheprovider",
        file,
    ]
    done = subprocess.run(
        command, env={**os.environ, **OTHER_KERNELS}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert " skipped" not in done.stdout


def craft(
    federation: Federation, rows: int, dtype: torch.dtype, device: torch.device = CPU, tries: int = 400
) -> Attack | None:
    """Weights under which the sign of a sum is another one in a product of one row less; None if none is found."""
    genes = len(federation.modality("rna").nodes)
    given = (constants(genes).to(device, dtype) * genes**-0.5)[None]
    layer = nn.Linear(genes, HierarchicalConfig.of(federation.model).width, dtype=dtype, device=device)
    for seed in range(tries):
        draw = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            layer.weight.copy_((torch.rand(layer.weight.shape, generator=draw, dtype=dtype) - 0.5) / 2)
            layer.bias.zero_()
            layer.bias.copy_(-(rounded(layer, given, rows) + rounded(layer, given, rows - 1)) / 2)
            many, few = rounded(layer, given, rows), rounded(layer, given, rows - 1)
        turning = (many * few < 0).nonzero().flatten().tolist()
        if turning:
            model = initial_model(federation, load_prior(federation, Path()), 0).to(device, dtype)
            _fill(model, layer, turning[0], 10.0 if dtype == torch.float32 else 1e5)
            return Attack(federation, model)
    return None


def _fill(model: FederatedModel, layer: nn.Linear, unit: int, steep: float) -> None:
    weights = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
    weights["branches.rna.direct.weight"][unit] = layer.weight[unit].detach()
    weights["branches.rna.direct.bias"][unit] = layer.bias[unit].detach()
    for name in ("branches.rna.norm.weight", "cross_norm.weight"):
        weights[name][:] = steep
    weights["cross.value.weight"][0, unit] = weights["cross.out.weight"][0, 0] = steep
    weights["heads.response.weight"][0, 0], weights["heads.response.weight"][1, 0] = steep, -steep
    model.load_state_dict(weights)
