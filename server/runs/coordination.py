"""A run from the first question to the kept weights.

Flower's own `Strategy.start` can neither stop early nor tell what each round was made of: the loop is here.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from flwr.app import ArrayRecord, Message
from flwr.serverapp import Grid

from common.agreement.agreement import Agreement
from common.families.registry import family_of
from common.messages.packing import Arrays
from server.aggregation.model_exchange import EvaluateExchange, RunContext, TrainExchange, unpacked
from server.aggregation.registry import make_strategy
from server.aggregation.strategies import Strategy
from server.participants.enrolment import Enrolled
from server.participants.roster import Roster, name_nodes
from server.records.journal import Journal, RoundRecord, RunRecord
from server.records.progress import ProgressFile
from server.records.result import Result, save_result
from server.runs.assembly import assemble
from server.runs.clock import Clock
from server.runs.dispatch import exchange
from server.runs.model_selection import Selection, TailMean

MISSES = 3
"""Rounds in a row without a quorum that end a run."""


OnRound = Callable[[RoundRecord], None]


class RunFailed(Exception):
    """A run that cannot give a model."""


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

    Returns:
        The run's closing record, `completed` or `partial`.

    Raises:
        RunFailed: if too few participants take part, or stop taking part.
        InputError: if the sites' statistics cannot place a task's hazard intervals, or the strategy is not registered.
    """
    strategy = make_strategy(federation.training)
    run = RunRecord(
        status="started",
        federation=federation.name,
        digest=federation.digest,
        strategy=federation.training.strategy,
        fold=fold,
        seed=seed,
    )
    with Journal(out) as journal:

        def note(record: RoundRecord) -> None:
            journal.write(record)
            if on_round is not None:
                on_round(record)

        try:
            named = None if enrolled is None else name_nodes(federation, enrolled)
            progress = None if named is None else ProgressFile(out)
            roster = assemble(grid, federation, fold, named, progress, clock)
            withheld = {site: dict(reply.withheld) for site, reply in roster.statistics.items()}
            run = run.model_copy(
                update={
                    "sites": tuple(roster.nodes),
                    "left_out": roster.left_out,
                    "withheld": withheld,
                    "statistics": roster.sha256,
                }
            )
            journal.write(run)
            if len(roster.nodes) < federation.quorum:
                raise RunFailed(
                    f"{len(roster.nodes)} of {len(federation.participants)} participants take part and "
                    f"{federation.quorum} are needed; the journal says why each other one does not."
                )
            preprocessing = _preprocessing(roster, federation)
            context = RunContext(federation, roster, preprocessing, fold, seed, out)
            family = family_of(federation)
            model = family.model(federation, family.public(federation, folder), seed)
            initial = ArrayRecord(model.state_dict())
            kept, rounds, missed = _train(grid, context, strategy, initial, note, progress, clock)
            save_result(out, Result(unpacked(kept.arrays), preprocessing))
        except Exception:
            journal.write(run.model_copy(update={"status": "failed"}))
            raise
        run = run.model_copy(
            update={
                "status": "partial" if missed else "completed",
                "rounds": rounds,
                "best_round": kept.round,
                "best_loss": kept.loss,
            }
        )
        journal.write(run)
    return run


def _preprocessing(roster: Roster, federation: Agreement) -> Arrays:
    """From the sites' sums, or from the federation file alone."""
    family = family_of(federation)
    if federation.privacy is not None and federation.privacy.statistics == "declared":
        return family.packed(family.declared(federation))
    return family.packed(
        family.combine([reply.statistics for reply in roster.statistics.values()], federation)
    )


def _train(
    grid: Grid,
    run: RunContext,
    strategy: Strategy,
    arrays: ArrayRecord,
    note: Callable[[RoundRecord], None],
    progress: ProgressFile | None,
    clock: Clock,
) -> tuple[Selection, int, bool]:
    """Run all rounds and the closing evaluation.

    Returns the weights to keep, the rounds done, and whether any lacked a quorum.
    """
    federation = run.federation
    training, deadline_s = federation.training, federation.rounds.deadline_s
    kept, tail = Selection(arrays), TailMean(training.rounds)
    trained, misses, missed = 0, 0, False
    number = 0

    def replies(kind: Literal["train", "evaluate"], requests: Iterable[Message]) -> Iterator[Message]:
        if progress is None:
            return exchange(grid, requests, deadline_s, None, clock)
        progress.begin(kind, number, run.roster.sites)
        return exchange(grid, requests, deadline_s, progress.heard, clock)

    for number in range(1, training.rounds + 1):
        training_round = TrainExchange(run, number, arrays, clock.monotonic)
        result = training_round.close(replies("train", training_round.requests), strategy)
        note(result.record)
        if result.arrays is None:
            misses, missed = misses + 1, True
            if misses == MISSES:
                raise RunFailed(f"{MISSES} rounds in a row had no quorum; the journal names who was missing.")
            continue
        misses = 0
        kept.offer(arrays, trained, result.record.validation_loss, result.record.validation_error)
        arrays, trained = result.arrays, number
        tail.add(arrays, number)
        if kept.waited >= training.patience:
            break
    if federation.privacy is not None:
        kept.offer(tail.mean() or arrays, trained, None, None)
        return kept, number, missed
    closing = EvaluateExchange(run, number + 1, arrays, clock.monotonic)
    record = closing.close(replies("evaluate", closing.requests))
    note(record)
    kept.offer(arrays, trained, record.validation_loss if record.applied else None, record.validation_error)
    return kept, number, missed or not record.applied
