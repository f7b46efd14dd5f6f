"""Progress of a simulation on the terminal, for the person who waits for it."""

import sys
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from common.lifetime.output import outlasting

if TYPE_CHECKING:
    from server.records.journal import RoundRecord
from simulations.report.screen.terminal import score_text

ROWS = 8


LINES_APART = 10


class LiveDisplay:
    """Live display of rounds on a terminal.

    Elsewhere it prints a plain line every `LINES_APART` rounds.

    Args:
        rounds: planned rounds per fold.
        console: where to print; standard output by default.
    """

    def __init__(self, rounds: int, console: Console | None = None) -> None:
        self._console = console or Console(file=outlasting(sys.stdout))
        self._rounds = rounds
        self._latest: deque[RoundRecord] = deque(maxlen=ROWS)
        self._fold: int | None = None
        self._stage = ""
        self._lowest: RoundRecord | None = None
        self._bars = Bars(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        )
        self._bar = self._bars.add_task("starting", total=rounds)
        self._live = Live(
            console=self._console, refresh_per_second=4, get_renderable=self.__rich__, transient=True
        )

    def __enter__(self) -> Self:
        """Start the display."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the display, also after an error."""
        self._live.stop()

    @property
    def lowest(self) -> "RoundRecord | None":
        """Round with the lowest validation loss of the present run."""
        return self._lowest

    def stage(self, text: str) -> None:
        """Say what happens now; `local models, 3 of 21` after `local models` is no line of its own."""
        self._bars.update(self._bar, description=text)
        if self._stage and text.startswith(self._stage):
            return
        self._stage = text
        if not self._console.is_terminal:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def round(self, fold: int, record: "RoundRecord") -> None:
        """Show a finished round of a fold (counted from 1)."""
        # the runs of a fold follow one another
        if fold != self._fold or (self._latest and record.round <= self._latest[-1].round):
            self._fold, self._lowest = fold, None
            self._latest.clear()
            self._bars.reset(self._bar, total=self._rounds)
        if _is_better(record, self._lowest):
            self._lowest = record
        self._latest.append(record)
        self._bars.update(self._bar, completed=min(record.round, self._rounds))
        due = record.round == 1 or record.round % LINES_APART == 0
        if not self._console.is_terminal and due:
            self._console.print(self._line(fold, record), markup=False, highlight=False, soft_wrap=True)

    def _line(self, fold: int, record: "RoundRecord") -> str:
        lowest = f"; lowest in round {self._lowest.round}" if self._lowest else ""
        return f"{losses_line(fold, record, self._rounds)}{lowest}"

    def __rich__(self) -> RenderableType:
        """Bars and tables of the display."""
        if not self._latest:
            return self._bars
        return Group(self._bars, self._rounds_table(), self._lowest_line())

    def _rounds_table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        tasks = list(self._latest[-1].concordance)
        private = _is_private(self._latest[-1])
        scores = [f"{task} concordance" for task in tasks]
        losses = () if private else ("training loss", "validation loss", *scores)
        for head in ("round", *losses, "sites", "seconds"):
            table.add_column(head, justify="right", header_style="dim")
        for record in list(self._latest):
            figures = (record.training_loss, record.validation_loss, *map(record.concordance.get, tasks))
            table.add_row(
                str(record.round),
                *(() if private else map(score_text, figures)),
                _replied(record),
                f"{record.seconds:.1f}",
                style="bold" if record is self._lowest else "" if record.applied else "dim",
            )
        return table

    def _lowest_line(self) -> Text:
        if _is_private(self._latest[-1]):
            line = Text("under differential privacy no loss leaves a hospital", style="dim")
        elif self._lowest is None:
            return Text("no validation loss yet", style="dim")
        else:
            scores = "".join(
                f", {task} concordance {score_text(score)}"
                for task, score in self._lowest.concordance.items()
            )
            loss = score_text(self._lowest.validation_loss)
            line = Text(f"lowest validation loss so far: {loss} in round {self._lowest.round}{scores}")
        if missing := self._latest[-1].dropped:
            names = sorted(drop.site or f"node {drop.node}" for drop in missing)
            line.append(f"; not counted: {', '.join(names)}", style="yellow")
        return line


def losses_line(fold: int, record: "RoundRecord", rounds: int) -> str:
    """Describe a finished round, or the evaluation of the last weights, in a line.

    A loss with noise is followed by the noise's standard deviation. Concordances have noise then too.
    """
    scores = "".join(
        f", {task} concordance {score_text(score)}" for task, score in record.concordance.items()
    )
    noise = f" (noise ± {record.validation_noise:.3f})" if record.validation_noise else ""
    losses = (
        f"training loss {score_text(record.training_loss)}, "
        f"validation loss {score_text(record.validation_loss)}{noise}{scores}, "
    )
    exchange = (
        f"round {record.round}/{rounds}" if record.kind == "train" else "evaluation of the last weights"
    )
    return (
        f"fold {fold}, {exchange}: "
        f"{'' if _is_private(record) else losses}{_replied(record)} sites, "
        f"{record.seconds:.1f} s{'' if record.applied else ', not applied'}"
    )


def _is_private(record: "RoundRecord") -> bool:
    """Return whether hospitals replied without a loss, as they do under differential privacy."""
    return bool(record.sites) and record.training_loss is None and record.validation_loss is None


def _is_better(record: "RoundRecord", best: "RoundRecord | None") -> bool:
    loss = record.validation_loss
    if loss is None or loss != loss:
        return False
    return best is None or best.validation_loss is None or loss < best.validation_loss


def _replied(record: "RoundRecord") -> str:
    return f"{len(record.sites)}/{len(record.sites) + len(record.dropped)}"
