"""Tasks of the federation file: survival, response and toxicity."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from common.agreement.modalities import Agreed, Name, distinct


class SurvivalTask(Agreed):
    """Time to an event with right censoring, modelled as a hazard in `bins` intervals."""

    kind: Literal["survival"] = "survival"
    name: Name
    time: str
    event: str
    unit: Literal["days", "months", "years"]
    longest: float = Field(gt=0, description="longest plausible follow-up, in `unit`")
    bins: int = Field(default=12, ge=2, le=60)
    typical: tuple[float, float] | None = Field(
        default=None,
        description="about two thirds of the events lie between, in `unit`, from public knowledge",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.typical is not None and not 0 < self.typical[0] < self.typical[1] <= self.longest:
            raise ValueError("typical must be a time and a later one, no later than longest")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Label columns of the outcomes table, in batch order."""
        return (self.time, self.event)

    @property
    def outputs(self) -> int:
        """Width of the head: one hazard logit per interval."""
        return self.bins


class ResponseTask(Agreed):
    """One of several classes, for instance response to treatment."""

    kind: Literal["response"] = "response"
    name: Name
    label: str
    classes: tuple[str, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        distinct("classes", self.classes)
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Label columns of the outcomes table, in batch order."""
        return (self.label,)

    @property
    def outputs(self) -> int:
        """Width of the head: one logit per class."""
        return len(self.classes)


class ToxicityTask(Agreed):
    """Several adverse events, each yes, no or unknown."""

    kind: Literal["toxicity"] = "toxicity"
    name: Name
    labels: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        distinct("labels", self.labels)
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Label columns of the outcomes table, in batch order."""
        return self.labels

    @property
    def outputs(self) -> int:
        """Width of the head: one logit per adverse event."""
        return len(self.labels)


Task = Annotated[SurvivalTask | ResponseTask | ToxicityTask, Field(discriminator="kind")]
