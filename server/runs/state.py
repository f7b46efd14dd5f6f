"""State of a run between two exchanges: all that it takes to go on."""

from dataclasses import dataclass, field

from common.agreement.agreement import Agreement
from common.counting import counted
from common.errors import StateError
from common.messages.packing import Arrays
from server.aggregation.averaging import Weights
from server.aggregation.hospital_weights import FirstNumbers
from server.aggregation.model_exchange import packed
from server.participants.roster import Roster
from server.records.journal import JournalMark, RoundRecord
from server.runs.model_selection import Selection, TailMean


@dataclass
class RunState:
    """A run after an exchange; the coordinator's loop changes it, a checkpoint holds a copy.

    Attributes:
        digest: of the agreement.
        rounds: planned in all.
        fold: patients of this fold are held out.
        seed: of the initial weights and everything drawn at the sites.
        roster: who takes part; sums of a roster that was read from a checkpoint are empty.
        preprocessing: made of the sites' sums, which nothing asks for again.
        arrays: the last weights.
        kept: the weights to keep, and their loss.
        tail: sum of the weights of the second half of the rounds.
        first_numbers: numbers of patients by which hospitals weigh.
        memory: what the strategy keeps from round to round, such as moments: name -> parameter -> array.
        steps: exchanges since that of statistics, and the choice that ends a private run.
        number: rounds of training asked for so far.
        trained: the round that the last weights come from.
        misses: rounds in a row without a quorum.
        missed: whether any exchange lacked a quorum.
        finished: whether nothing is left to be asked for.
        record: of the last exchange.
        journal: end of the journal before that record.
    """

    digest: str
    rounds: int
    fold: int
    seed: int
    roster: Roster
    preprocessing: Arrays
    arrays: Weights
    kept: Selection
    tail: TailMean
    first_numbers: FirstNumbers = field(default_factory=dict)
    memory: dict[str, Weights] = field(default_factory=dict)
    steps: int = 0
    number: int = 0
    trained: int = 0
    misses: int = 0
    missed: bool = False
    finished: bool = False
    record: RoundRecord | None = None
    journal: JournalMark = field(default_factory=JournalMark)

    @classmethod
    def initial(
        cls,
        federation: Agreement,
        roster: Roster,
        preprocessing: Arrays,
        weights: Weights,
        fold: int,
        seed: int,
    ) -> "RunState":
        """The state before the first round."""
        rounds = federation.training.rounds
        kept, tail = Selection(packed(weights)), TailMean(rounds)
        return cls(federation.digest, rounds, fold, seed, roster, preprocessing, weights, kept, tail)

    def resume(self, federation: Agreement, fold: int, seed: int) -> None:
        """Prepare the state to continue, possibly with more rounds.

        The agreement must be the same; only a finished run may get more rounds.

        More rounds continue from the last weights, with the strategy's memory and the weights kept so far; patience
        begins anew, and so does the mean over the second half, of the rounds from here that belong to it.

        Raises:
            StateError: if this is the state of another run.
        """
        if (fold, seed) == (self.fold, self.seed) and federation.digest == self.digest:
            return
        training = federation.training.model_copy(update={"rounds": self.rounds})
        before = federation.model_copy(update={"training": training})
        more = federation.training.rounds
        if (fold, seed) != (self.fold, self.seed) or before.digest != self.digest:
            what = "is of another federation file, fold or seed"
            raise StateError(
                "the checkpoint",
                what,
                "resume with the federation file, fold and seed of the run, or begin a new run",
            )
        if not self.finished or more <= self.rounds:
            what = f"is of {'a finished' if self.finished else 'an unfinished'} run of {counted(self.rounds, 'round')}"
            raise StateError("the checkpoint", what, "finish that run, then ask for more rounds than it had")
        self.digest, self.rounds, self.finished = federation.digest, more, False
        self.kept.waited, self.tail = 0, TailMean(more)
