"""Checks, on made-up records, that an agreement can be trained as it promises."""

from pathlib import Path

from torch import Tensor

from common.agreement.agreement import Agreement
from common.families.family import Public, refuse
from common.families.registry import family_of
from common.models.shared import SharedModel
from common.privacy.guarantee import check_model, check_objective
from common.records import Records

PROBED = 3
"""Made-up records on which a loss is tried."""


def guaranteed_model(agreement: Agreement, public: Public) -> SharedModel:
    """Build the model of the agreement's seed, checked for the guarantee under privacy.

    Raises:
        InputError: if the model cannot be built.
        GuaranteeError: if a setting, a layer or the loss breaks the guarantee.
    """
    family = family_of(agreement)
    model = family.model(agreement, public, agreement.training.seed)
    if agreement.privacy is not None:
        prepared = family.declared(agreement)

        def loss(records: Records) -> Tensor:
            return family.loss(model, records, agreement, prepared)

        refuse(family, agreement)
        check_model(model)
        check_objective("of training", loss, family.probe(agreement, PROBED), model)
    return model


def check_trainable(agreement: Agreement, folder: Path) -> None:
    """Check, without patients, what a hospital checks before its first round.

    Raises:
        InputError: as `guaranteed_model`.
    """
    guaranteed_model(agreement, family_of(agreement).public(agreement, folder))
