"""Private rounds in every combination of modalities, tasks, what is learnt and where the scaling comes from."""

from collections.abc import Callable
from itertools import product

import pytest
import torch

from client.families.patients import READER
from client.privacy.dp_sgd import train_privately
from client.privacy.noise import NoisedSums
from client.training.round import Round
from common.agreement.federation import Federation
from common.agreement.modalities import Plausible
from common.agreement.model_config import HierarchicalConfig
from common.agreement.privacy_settings import Privacy
from common.families.family import refuse
from common.families.patients import FAMILY
from common.families.registry import family_of
from common.models.graphs import Prior
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.privacy.planning import with_privacy

EVERY_TASK = ("survival", "response", "toxicity")
MODALITIES = (("clinical",), ("rna",), ("imaging",), ("rna", "protein", "imaging"), ())
"""Those of a federation; the last stands for all of them."""


def prepared(federation: Federation, batch: PatientBatch, statistics: str) -> Preprocessing:
    if statistics == "declared":
        return FAMILY.declared(federation)
    if statistics == "public":
        return FAMILY.combine([FAMILY.statistics(batch, federation, 1)], federation)
    noised = NoisedSums(*FAMILY.noised_sums(federation), 0.01).take(READER.bounded_sums(batch, federation))
    return FAMILY.combine([FAMILY.noised_statistics(noised, federation, 0.01)], federation)


@pytest.mark.parametrize("statistics", ["declared", "noised", "public"])
@pytest.mark.parametrize("learn", ["linear", "all"])
def test_every_private_configuration_trains_what_it_is_to_learn(
    make_federation: Callable[..., Federation],
    prior: Prior,
    make_batch: Callable[..., PatientBatch],
    learn: str,
    statistics: str,
) -> None:
    """Weights beyond 10 among them, which training can reach by itself."""
    whole = make_federation(
        model=HierarchicalConfig(node_width=2, pathway_width=2, width=4, heads=1, node_heads=1)
    )
    ranges = {"plausible": Plausible(low=-10, high=10)}
    limited = tuple(modality.model_copy(update=ranges) for modality in whole.modalities)
    patients = make_batch(20)
    terms = {"noise_multiplier": 1.0, "sampling_rate": 1.0, "expected_batch_size": 20, "learn": learn}
    privacy = Privacy.model_validate(terms | {"statistics": statistics})
    # Of the tasks' losses only survival's takes anything from the statistics.
    alone = EVERY_TASK if statistics == "declared" else EVERY_TASK[:1]
    for names, task in product(MODALITIES, (*alone, None)):
        modalities = tuple(m for m in limited if not names or m.name in names)
        tasks = tuple(t for t in whole.tasks if task in (None, t.name))
        federation = with_privacy(
            whole.model_copy(update={"modalities": modalities, "tasks": tasks}), privacy
        )
        batch = PatientBatch(
            {m.name: patients.values[m.name] for m in modalities},
            {m.name: patients.observed[m.name] for m in modalities},
            {t.name: patients.labels[t.name] for t in tasks},
            {t.name: patients.labelled[t.name] for t in tasks},
        )
        refuse(family_of(federation), federation)
        model = FAMILY.model(federation, prior, 0)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("bias"):
                    parameter.fill_(11.0)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        scaling = prepared(federation, batch, statistics)
        train_privately(model, FAMILY.apply(batch, scaling), Round(federation, scaling), privacy)
        learnable = model.groups().learnable(privacy)
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, before[name]) != (name in learnable), (names, task, name)
            assert bool(tensor.isfinite().all())
