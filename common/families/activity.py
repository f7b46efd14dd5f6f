"""Activity of a model's parts, for records of any family."""

from collections.abc import Mapping

import torch

from common.agreement.agreement import Agreement
from common.families.family import AnyFamily
from common.messages.packing import Arrays
from common.models.activity import Activity
from common.models.parts import measure_activity
from common.models.shared import SharedModel
from common.records import Prepared, Records

MADE_UP = 64
"""Made-up units on which a coordinator, who has no patient, measures a model."""


def activity_of(
    family: AnyFamily, model: SharedModel, records: Records, agreement: Agreement, prepared: Prepared
) -> Activity | None:
    """Measure the activity of a model's parts at its present weights.

    Records are as the model takes them. None if the model offers no parts, or there are fewer than two
    units to compare.
    """
    parts = model.parts()
    if parts is None or len(records) < 2:
        return None
    return measure_activity(model, parts, records, lambda some: family.loss(model, some, agreement, prepared))


def activity_on_made_up_units(
    family: AnyFamily,
    model: SharedModel,
    weights: Mapping[str, torch.Tensor],
    agreement: Agreement,
    preprocessing: Arrays,
) -> Activity | None:
    """Measure the activity of a trained model without any patient's data.

    Args:
        family: of the agreement.
        model: the body for the weights, which it has afterwards.
        weights: by parameter.
        agreement: under which they were trained.
        preprocessing: as in a request.
    """
    if model.parts() is None:
        return None
    model.load_state_dict(dict(weights))
    made_up = family.probe(agreement, MADE_UP)
    return activity_of(family, model, made_up, agreement, family.unpacked(preprocessing))
