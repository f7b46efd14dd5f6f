"""Base class of explanations, which are printed and written as JSON."""

from pydantic import BaseModel, ConfigDict


class ExplanationRecord(BaseModel):
    """Part of an explanation, whose content does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")
