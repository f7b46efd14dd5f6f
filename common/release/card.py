"""Card of a release: what the model is, what it was trained on and how it did in its run."""

from pydantic import Field

from common.counting import counted
from common.installed_code import Software
from common.release.record import MemberRecord, ReleaseRecord

USE = "research use"
"""Use for which every release is meant until its predictions are validated."""


NOT_MEASURED = "not measured"


MOST_NOISE = 0.125
"""Largest noise with which a concordance is shown: two deviations are half of the way from chance to 1."""


MOST_LOSS_NOISE = 0.25
"""Largest noise with which a loss is shown, as a share of the loss."""


class CardTask(ReleaseRecord):
    """Task of the model.

    Attributes:
        name: of the task.
        concordance: of the kept weights over pairs of validation patients, within hospitals; None where nobody told.
        pairs: number of these pairs, as hospitals told it.
        noise: standard deviation of the noise in the concordance that hospitals added; 0 without noise, None where
            nobody told, or in a release of an earlier version.
    """

    name: str
    concordance: float | None = None
    pairs: int = 0
    noise: float | None = None

    @property
    def is_drowned(self) -> bool:
        """Whether noise covers the concordance."""
        return self.noise is not None and self.noise > MOST_NOISE

    @property
    def said(self) -> str:
        """Concordance in words, with its noise; "not measured" without one."""
        if self.concordance is None:
            return NOT_MEASURED
        return _noised(f"{self.concordance:.2f}", self.noise, MOST_NOISE)


class CardMember(ReleaseRecord):
    """Other member of an ensemble.

    Attributes:
        run: name of its run.
        seed: `training.seed`, the one difference between its federation file and that of the release.
        ended: when the run ended, ISO 8601 in UTC.
        rounds: of training.
        kept_round: that the weights come from.
    """

    run: str
    seed: int
    ended: str
    rounds: int
    kept_round: int | None


class Card(MemberRecord):
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
        validated: number of validation records that chose the round; None where hospitals keep their numbers, and in a
            release of an earlier version.
        validation_noise: standard deviation of the noise in one round's validation loss; the loss may be the mean of
            several rounds, and then has less. None as for `validated`, 0 without noise.
        software: that trained it; None in a release of an earlier version.
        others: the other members of an ensemble; everything above is about the first.
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
    validated: int | None = None
    validation_noise: float | None = None
    software: Software | None = None
    # absent without an ensemble: the card of an earlier release keeps its bytes
    others: tuple[CardMember, ...] = Field(default=(), exclude_if=lambda others: not others)

    def lines(self) -> list[str]:
        """Describe the model in words."""
        trained = f"{self.records:,} {self.unit}" if self.records is not None else self.unit
        privacy = "with differential privacy" if self.private else "without differential privacy"
        inputs = ", ".join(f"{name} ({counted(columns, 'column')})" for name, columns in self.inputs.items())
        loss = "" if self.validation_loss is None else f" (validation loss: {self.said_loss})"
        kept = "" if self.kept_round is None else f"; the weights are those of round {self.kept_round}{loss}"
        lines = [
            f"Trained on {trained} of {counted(len(self.hospitals), 'hospital')} "
            f"({', '.join(self.hospitals)}) {privacy}, in {counted(self.rounds, 'round')}{kept}.",
            f"It takes {inputs}.",
        ]
        if self.others:
            runs = ", ".join(f"{member.run} (seed {member.seed})" for member in self.others)
            lines.append(
                f"It is the first of {1 + len(self.others)} trainings whose mean is predicted; the others are those of"
                f" {runs}."
            )
        return [*lines, f"It predicts {', '.join(map(_said, self.tasks))}."]

    @property
    def said_loss(self) -> str:
        """Validation loss in words, with its noise; "not measured" without one."""
        if self.validation_loss is None:
            return NOT_MEASURED
        most = abs(self.validation_loss) * MOST_LOSS_NOISE
        return _noised(f"{self.validation_loss:.4g}", self.validation_noise, most)


def _said(task: CardTask) -> str:
    if task.concordance is None:
        return task.name
    pairs = counted(task.pairs, "pair")
    return f"{task.name} (concordance over {pairs} of the hospitals' validation patients: {task.said})"


def _noised(figure: str, noise: float | None, most: float) -> str:
    """Write a figure with its noise, or the noise alone where it is more than `most`."""
    if not noise:
        return figure
    if noise > most:
        return f"unreadable under noise of ± {noise:.2g}"
    return f"{figure} (noise ± {noise:.2g})"
