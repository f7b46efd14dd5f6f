"""Base class of forecasts, which are printed and written as JSON."""

from pydantic import BaseModel, ConfigDict


class ForecastPart(BaseModel):
    """Part of a forecast, whose content does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")
