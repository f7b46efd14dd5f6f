"""A run from the first question to the kept weights.

Flower's own `Strategy.start` can neither stop early nor tell what each round was made of: the loop is here.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from flwr.app import ArrayRecord, Message
from flwr.serverapp import Grid

from common.agreement.agreement import Agreement
from common.counting import are, counted
from common.families.activity import activity_on_made_up_units
from common.families.registry import family_of
from common.installed_code import Software
from common.messages.packing import Arrays
from common.models.activity import Activity
from common.models.shared import SharedModel
from server.aggregation.averaging import Weights
from server.aggregation.comparison import compare
from server.aggregation.linear_fit import LinearFirst
from server.aggregation.model_exchange import (
    EvaluateExchange,
    RunContext,
    TrainExchange,
    packed,
    unpacked,
)
from server.aggregation.registry import make_strategy
from server.aggregation.scores import Losses
from server.aggregation.site_sums import moderated
from server.aggregation.strategies import Remembering, Strategy
from server.home.room import require_room
from server.participants.enrolment import Enrolled
from server.participants.roster import Roster, name_nodes, with_withdrawn
from server.records.apart import STOPPED, Apart, apart_lines, by_site
from server.records.journal import CheckpointRecord, Journal, RoundRecord, RunRecord, read_journal
from server.records.progress import ProgressFile
from server.records.result import TrainedModel, save_result
from server.records.statistics import write_statistics
from server.runs.assembly import NO_COUNTERSIGNATURES, assemble
from server.runs.assessment import Assessed, assess
from server.runs.checkpoint import Checkpoint
from server.runs.clock import Clock
from server.runs.dispatch import exchange
from server.runs.model_selection import Validation
from server.runs.state import RunState

MISSES = 3
"""Rounds in a row without a quorum that end a run."""


OnRound = Callable[[RoundRecord], None]


class RunFailed(Exception):
    """A run that cannot give a model."""


class HospitalsApart(RunFailed):
    """Run ended before its first round, because hospitals lie far apart."""


def coordinate(
    grid: Grid,
    federation: Agreement,
    folder: Path,
    out: Path,
    fold: int = -1,
    seed: int = 0,
    on_round: OnRound | None = None,
    enrolled: Enrolled | None = None,
    clock: Clock = time,
    checkpoint: Checkpoint | None = None,
    countersignatures: Mapping[str, str] = NO_COUNTERSIGNATURES,
    withdrawn: Callable[[], Collection[str]] = tuple,
    is_assessed: bool = True,
    name: str = "",
) -> RunRecord:
    """Run a federation and write journal, weights and preprocessing.

    Args:
        grid: the way to the nodes.
        federation: the agreement.
        folder: where its public files are.
        out: the run's folder.
        fold: patients of this fold are held out; -1 holds out none.
        seed: of the initial weights and everything drawn at the sites.
        on_round: called with each exchange's record, the closing evaluation included.
        enrolled: which node speaks for which site; without it every node is asked who it is.
        clock: measures the seconds waited for nodes and replies.
        countersignatures: site -> signed statement of what was received of it before.
        withdrawn: names the hospitals whose key was withdrawn, up to now.
        checkpoint: keeps the run's state after every exchange; a run that it holds a state of goes on from there.
        is_assessed: whether hospitals are asked for sums about the kept weights.
        name: of the run, by which hospitals know it again when it is resumed; empty for none.

    Returns:
        The run's closing record, `completed` or `partial`.

    Raises:
        RunFailed: if too few participants take part, or stop taking part.
        HospitalsApart: if hospitals lie far apart by their sums, and the agreement says `stop`.
        InputError: if the sites' statistics cannot place a task's hazard intervals, the strategy is not registered, or
            the checkpoint is damaged or of another run.
    """
    strategy = make_strategy(federation.training)
    state = None if checkpoint is None else checkpoint.read()
    entry = None
    if checkpoint is not None and state is not None:
        entry = checkpoint.check(state, out)
        state.resume(federation, fold, seed)
    run = RunRecord(
        status="started" if state is None else "resumed",
        rounds=0 if state is None else state.number,
        federation=federation.name,
        digest=federation.digest,
        strategy=federation.training.strategy,
        fold=fold,
        seed=seed,
        private=federation.privacy is not None,
    )
    with Journal(out) as journal:

        def note(record: RoundRecord) -> None:
            journal.write(record)
            if on_round is not None:
                on_round(record)

        try:
            named = None if enrolled is None else name_nodes(federation, enrolled, withdrawn())
            progress = None if named is None else ProgressFile(out)
            if state is None:
                roster = assemble(grid, federation, fold, named, progress, clock, countersignatures, name)
                apart = _compared(roster, federation)
            else:
                journal.complete(state.record)
                if entry is not None:
                    journal.write(CheckpointRecord(steps=state.steps, round=state.number, sha256=entry))
                roster, apart = state.roster, _noted(out)
            withheld = {site: dict(reply.withheld) for site, reply in roster.statistics.items()}
            run = run.model_copy(
                update={
                    "sites": tuple(roster.nodes),
                    "left_out": with_withdrawn(roster.left_out, withdrawn()),
                    "withheld": withheld,
                    "statistics": roster.sha256,
                    "apart": apart,
                }
            )
            journal.write(run)
            if len(roster.nodes) < federation.quorum:
                raise RunFailed(
                    f"{len(roster.nodes)} of {counted(len(federation.participants), 'participant')} take part and "
                    f"{federation.quorum} {are(federation.quorum)} needed; the journal says why the others do not."
                )
            if apart and federation.statistics.far == "stop":
                raise HospitalsApart("\n".join([*apart_lines(apart), STOPPED]))
            if state is None:
                write_statistics(out, {site: reply.moments for site, reply in roster.statistics.items()})
                weights = _initial(federation, folder, seed)
                prepared = _preprocessing(roster, federation)
                state = RunState.initial(federation, roster, prepared, weights, fold, seed)
            run_context = RunContext(
                federation,
                roster,
                state.preprocessing,
                fold,
                seed,
                out,
                state.first_numbers,
                by_site(apart),
                name,
            )
            if federation.linear_rounds:
                groups = family_of(federation).groups(federation, state.arrays)
                strategy = LinearFirst(federation, groups, strategy)
            loop = _Rounds(
                grid, run_context, strategy, state, note, progress, clock, checkpoint, journal, withdrawn
            )
            loop.train()
            kept, result = state.kept, TrainedModel(unpacked(state.kept.arrays), state.preprocessing)
            save_result(out, result)
            activity = _activity(result, federation, folder, seed)
            if is_assessed:
                assess(grid, run_context, Assessed(kept.round + 1, result.weights), journal, progress, clock)
        except Exception:
            journal.write(run.model_copy(update={"status": "failed"}))
            raise
        run = run.model_copy(
            update={
                "status": "partial" if state.missed else "completed",
                "rounds": state.number,
                "best_round": kept.round,
                "best_loss": kept.loss,
                "activity": activity,
                "software": Software.installed(),
            }
        )
        journal.write(run)
    return run


def _compared(roster: Roster, federation: Agreement) -> tuple[Apart, ...]:
    """Compare the hospitals of a run by their statistics."""
    return compare({site: reply.statistics for site, reply in roster.statistics.items()}, federation)


def _noted(out: Path) -> tuple[Apart, ...]:
    """Read the differences from the journal of a resumed run, which keeps no sums."""
    runs = [record for record in read_journal(out) if isinstance(record, RunRecord)]
    return runs[-1].apart if runs else ()


def _preprocessing(roster: Roster, federation: Agreement) -> Arrays:
    """Return preprocessing from the sites' sums, or from the federation file alone."""
    family = family_of(federation)
    if federation.privacy is not None and federation.privacy.statistics == "declared":
        return family.packed(family.declared(federation))
    sums = {site: reply.statistics for site, reply in roster.statistics.items()}
    sized = federation.declared_patients is not None
    return family.packed(family.combine(moderated(sums, sized), federation))


def _validation(record: RoundRecord, losses: Losses) -> Validation:
    """Validation of a round's weights by the hospitals."""
    return Validation(record.validation_loss, record.validation_error, record.validation_noise, losses)


def _initial(federation: Agreement, folder: Path, seed: int) -> Weights:
    """The weights that a run begins with."""
    return unpacked(ArrayRecord(_model(federation, folder, seed).state_dict()))


def _model(federation: Agreement, folder: Path, seed: int) -> SharedModel:
    family = family_of(federation)
    return family.model(federation, family.public(federation, folder), seed)


def _activity(result: TrainedModel, federation: Agreement, folder: Path, seed: int) -> Activity | None:
    """Measure the kept model on made-up patients: no patient's data are at the coordinator."""
    weights = {name: torch.from_numpy(array) for name, array in result.weights.items()}
    model = _model(federation, folder, seed)
    return activity_on_made_up_units(family_of(federation), model, weights, federation, result.preprocessing)


@dataclass
class _Rounds:
    """The rounds of a run from a state to its end."""

    grid: Grid
    run: RunContext
    strategy: Strategy
    state: RunState
    note: Callable[[RoundRecord], None]
    progress: ProgressFile | None
    clock: Clock
    checkpoint: Checkpoint | None
    journal: Journal
    withdrawn: Callable[[], Collection[str]]
    _anchor: str | None = None

    def train(self) -> None:
        """All rounds that are left, and the closing evaluation."""
        state, training = self.state, self.run.federation.training
        if isinstance(self.strategy, Remembering):
            self.strategy.remember(state.memory)
        if not state.journal.size:  # else it was kept before the run was interrupted
            self._keep()
            self._enter()
        if state.finished:
            return
        while state.number < training.rounds and state.kept.waited < training.patience:
            self._require_quorum()
            if (
                self.progress is not None and self.run.folder is not None
            ):  # replies lie on the coordinator's disk
                require_room(self.run.folder)
            self._round()
        self._require_quorum()
        if state.trained == 0:
            raise RunFailed("no round had its quorum; the journal names who was missing.")
        self._close()

    def _require_quorum(self) -> None:
        if self.state.misses == MISSES:
            raise RunFailed(f"{MISSES} rounds in a row had no quorum; the journal names who was missing.")

    def _round(self) -> None:
        """One round of training."""
        state = self.state
        number, sent = state.number + 1, packed(state.arrays)
        exchange_ = TrainExchange(self.run, number, sent, self.clock.monotonic)
        result = exchange_.close(self._replies("train", number, exchange_.requests), self.strategy)
        state.number, record = number, result.record
        if result.arrays is None:
            state.misses, state.missed = state.misses + 1, True
        else:
            state.misses = 0
            self._offer(sent, _validation(record, result.losses))
            state.arrays, state.trained = unpacked(result.arrays), number
            state.tail.add(result.arrays, number)
        self._done(record)

    def _close(self) -> None:
        """Evaluate the last weights, or under privacy average the weights of the tail.

        Under privacy no loss leaves a site.
        """
        state = self.state
        last = packed(state.arrays)
        state.finished = True
        if self.run.federation.privacy is not None:
            state.kept.offer(state.tail.mean() or last, state.trained, Validation())
            state.steps += 1
            self._keep()
            self._enter()
            return
        number = state.number + 1
        closing = EvaluateExchange(self.run, number, last, self.clock.monotonic)
        evaluated = closing.close(self._replies("evaluate", state.number, closing.requests))
        record = evaluated.record
        validation = _validation(record, evaluated.losses) if record.applied else Validation()
        self._offer(last, validation)
        state.missed = state.missed or not record.applied
        self._done(record)

    def _offer(self, arrays: ArrayRecord, validation: Validation) -> None:
        """Weigh the last trained weights against those kept.

        Until the linear scores are fitted, the last are kept.
        """
        state, linear_rounds = self.state, self.run.federation.linear_rounds
        if state.trained < linear_rounds:
            validation = Validation(validation.loss)
        state.kept.offer(arrays, state.trained, validation, is_floor=0 < linear_rounds == state.trained)

    def _done(self, record: RoundRecord) -> None:
        """Write the checkpoint of an exchange, then its record in the journal.

        The journal never holds an exchange that the checkpoint lacks.
        """
        record = record.model_copy(update={"dropped": with_withdrawn(record.dropped, self.withdrawn())})
        self.state.steps += 1
        self.state.record = record
        self._keep()
        self.note(record)
        self._enter()

    def _keep(self) -> None:
        if isinstance(self.strategy, Remembering):
            self.state.memory = self.strategy.memory()
        if self.checkpoint is not None:
            self.state.journal = self.journal.mark()
            self._anchor = self.checkpoint.write(self.state)

    def _enter(self) -> None:
        """Enter the checkpoint's hash in the journal, after the record of its exchange."""
        state = self.state
        if self._anchor is not None:
            self.journal.write(CheckpointRecord(steps=state.steps, round=state.number, sha256=self._anchor))

    def _replies(
        self, kind: Literal["train", "evaluate"], number: int, requests: Iterable[Message]
    ) -> Iterator[Message]:
        deadline_s = self.run.federation.rounds.deadline_s
        if self.progress is None:
            return exchange(self.grid, requests, deadline_s, None, self.clock)
        self.progress.begin(kind, number, self.run.roster.sites)
        return exchange(self.grid, requests, deadline_s, self.progress.heard, self.clock)
