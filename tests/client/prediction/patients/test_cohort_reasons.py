"""Reasons of many patients name the pathways of what matters most, and none for a few."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from client.data.unlabelled import UnlabelledPatients
from client.prediction.forecasts import Forecasts
from client.prediction.patients.predictor import forecasts
from common.agreement.federation import Federation
from common.errors import InvalidContentError, OptionError
from common.models.graphs import Prior
from common.models.registry import initial_model
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network


@pytest.fixture
def network(federation: Federation, prior: Prior, preprocessing: Preprocessing) -> Network:
    """Untrained network whose answers follow two genes of one pathway."""
    model: Any = initial_model(federation, prior, 0)
    with torch.no_grad():
        model.branches["rna"].scores["survival"].weight[:, :2] = 5.0
    return Network(federation, preprocessing, {}, model.eval(), public=prior)


def patients(batch: PatientBatch) -> UnlabelledPatients:
    seen = {name: torch.ones_like(mask) for name, mask in batch.observed.items()}
    names = tuple(f"patient {number}" for number in range(len(batch)))
    return UnlabelledPatients(names, PatientBatch(batch.values, seen, {}, {}), ())


def test_enrichment_is_found_over_all_patients(
    network: Network, make_batch: Callable[..., PatientBatch]
) -> None:
    made = forecasts(network, patients(make_batch(12)), [3.0], "table", explain=True, enrichment=True)
    assert [found.task for found in made.enrichment] == ["survival", "response", "toxicity"]
    survival = made.enrichment[0]
    assert (survival.patients, survival.horizon, survival.genes, survival.tested) == (12, 3.0, {"rna": 12}, 2)
    assert Forecasts.model_validate_json(made.model_dump_json()) == made
    assert survival.lines()[0] in made.lines()


def test_enrichment_of_few_patients_without_explanations_or_pathways_is_refused(
    network: Network, make_batch: Callable[..., PatientBatch]
) -> None:
    few, many = patients(make_batch(6)), patients(make_batch(12))
    with pytest.raises(InvalidContentError):
        forecasts(network, few, [3.0], "table", explain=True, enrichment=True)
    with pytest.raises(OptionError):
        forecasts(network, many, [3.0], "table", enrichment=True)
    with pytest.raises(InvalidContentError):
        forecasts(replace(network, public=None), many, [3.0], "table", explain=True, enrichment=True)
    assert forecasts(network, few, [3.0], "table", explain=True).enrichment == ()
