"""Figures of two models on the same records of a hospital."""

from common.validation.estimate import IntervalEstimate, ValidationRecord


class ModelsBeside(ValidationRecord):
    """Headline metric of a hospital's own model and of the federated one, on the same records.

    Attributes:
        task: its name.
        metric: title of the metric.
        records: with an outcome; None where they, or those with an event or without one, are too few for a figure.
        events: with the event, or cases; None for a task without any, and below the floor.
        alone, together: figure of the hospital's own and of the federated model.
        gain: `together` minus `alone`, over the same draws of records.
    """

    task: str
    metric: str
    records: int | None = None
    events: int | None = None
    alone: IntervalEstimate = IntervalEstimate()
    together: IntervalEstimate = IntervalEstimate()
    gain: IntervalEstimate = IntervalEstimate()

    @property
    def words(self) -> str:
        """Finding in a sentence."""
        if self.records is None:
            return "Too few held-out patients with the outcome, or without it, for a comparison."
        if self.gain.low is None or self.gain.high is None:
            return "No interval could be taken: nothing is shown."
        if self.gain.low > 0:
            return "The federated model was shown to be better."
        return "The own model was shown to be better." if self.gain.high < 0 else "No difference was shown."
