"""Card of a release: what the model is, what it was trained on and how it did in its run."""

from pydantic import BaseModel, ConfigDict

from common.counting import counted

USE = "research use"
"""Use for which every release is meant until its predictions are validated."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CardTask(_Part):
    """Task of the model.

    Attributes:
        name: of the task.
        concordance: of the kept weights over pairs of validation patients, within hospitals; None where nobody told.
        pairs: number of these pairs, as hospitals told it.
    """

    name: str
    concordance: float | None = None
    pairs: int = 0


class Card(_Part):
    """Card of a release.

    Attributes:
        federation: name of the federation.
        run: name of the run.
        ended: when it ended, ISO 8601 in UTC.
        hospitals: that had a part in the run.
        records: number of records trained on; None where hospitals keep their numbers.
        unit: plural of the unit that is counted, such as patients.
        rounds: of training.
        kept_round: that the weights come from.
        validation_loss: of these weights; None where nobody told.
        private: whether training had differential privacy.
        inputs: table -> number of its columns.
        tasks: that the model was trained for.
        use: what the model is for.
    """

    federation: str
    run: str
    ended: str
    hospitals: tuple[str, ...]
    records: int | None
    unit: str
    rounds: int
    kept_round: int | None
    validation_loss: float | None
    private: bool
    inputs: dict[str, int]
    tasks: tuple[CardTask, ...]
    use: str = USE

    def lines(self) -> list[str]:
        """Describe the model in words."""
        trained = f"{self.records:,} {self.unit}" if self.records is not None else self.unit
        privacy = "with differential privacy" if self.private else "without differential privacy"
        inputs = ", ".join(f"{name} ({counted(columns, 'column')})" for name, columns in self.inputs.items())
        loss = "" if self.validation_loss is None else f", validation loss {self.validation_loss:.4g}"
        kept = "" if self.kept_round is None else f"; the weights are those of round {self.kept_round}{loss}"
        lines = [
            f"Trained on {trained} of {counted(len(self.hospitals), 'hospital')} "
            f"({', '.join(self.hospitals)}) {privacy}, in {counted(self.rounds, 'round')}{kept}.",
            f"It takes {inputs}.",
        ]
        return [*lines, f"It predicts {', '.join(map(_said, self.tasks))}."]


def _said(task: CardTask) -> str:
    if task.concordance is None:
        return task.name
    pairs = counted(task.pairs, "pair")
    return (
        f"{task.name} (concordance {task.concordance:.2f} over {pairs} of the hospitals' validation patients)"
    )
