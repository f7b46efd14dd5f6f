"""Columns that the model does not use because the federation file gives them no scale."""

from collections.abc import Iterator

from common.agreed import Problem
from common.agreement.federation import Federation
from common.patients.preprocessing import declared


def unscaled(federation: Federation) -> Iterator[Problem]:
    """Numeric columns without a scale under declared statistics."""
    if federation.privacy is None or federation.privacy.statistics != "declared":
        return
    spread = declared(federation).spread
    for number, modality in enumerate(federation.modalities):
        finite = spread[modality.name].isfinite().tolist()
        columns = [column for column, is_used in zip(modality.columns, finite, strict=False) if not is_used]
        if columns:
            names = ", ".join(columns[:5]) + (f" and {len(columns) - 5} more" if len(columns) > 5 else "")
            what = f"does not scale {names} of modality {modality.name}, which the model will not use under [privacy]"
            remedy = "give each a typical range, or low and high"
            yield Problem(("modalities", number, "ranges"), what, remedy)
