"""Reasons of the forecasts of several patients: explanations, changes and enriched pathways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from client.prediction.change import Changes
from client.prediction.patients.changes import Foreseen, changes
from common.agreement.federation import Federation
from common.errors import OptionError
from common.explanation.enrichment import Enrichment, GeneTally
from common.explanation.explain import explain
from common.explanation.explanation import Explanation
from common.models.graphs import Prior
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network


@dataclass(frozen=True)
class CohortReasons:
    """Reasons of patients' forecasts.

    Attributes:
        explanations: of each patient.
        changes: of each patient by other values of actionable columns.
        enrichment: pathways of the genes that matter most over the patients.
    """

    explanations: Sequence[tuple[Explanation, ...]]
    changes: Sequence[tuple[Changes, ...]]
    enrichment: tuple[Enrichment, ...] = ()


def no_reasons(patients: int, enrichment: bool) -> CohortReasons:
    """Return no reasons for patients whose forecasts are not explained.

    Raises:
        OptionError: if enriched pathways are asked for.
    """
    if enrichment:
        what = "is found in explanations, and none are asked for"
        raise OptionError("enrichment", what, "ask for explanations too")
    return CohortReasons([()] * patients, [()] * patients)


def reasons(
    network: Network,
    patients: PatientBatch,
    horizons: Mapping[str, Sequence[float]],
    foreseen: Foreseen,
    enrichment: bool,
) -> CohortReasons:
    """Explain the forecasts of patients.

    Args:
        network: the model.
        patients: with raw values.
        horizons: survival task -> times by which the risk is explained; other tasks have none.
        foreseen: the forecasts of patients.
        enrichment: whether enriched pathways are found.

    Raises:
        InputError: if a task cannot be explained, or there is nothing for an enrichment.
    """
    federation, prepared = network.federation, network.preprocessing
    assert isinstance(federation, Federation)
    assert isinstance(prepared, Preprocessing)
    tally, explanations, changed = GeneTally(), [], []
    for row in range(len(patients)):
        patient = patients.select(torch.tensor([row]))
        explanations.append(explain(network, patient, horizons, tally.of(patient) if enrichment else None))
        changed.append(changes(federation, prepared, patient, explanations[-1], foreseen))
    prior = network.public if isinstance(network.public, Prior) else Prior({}, {}, {})
    return CohortReasons(explanations, changed, tally.enrichments(federation, prior) if enrichment else ())
