"""A hospital's account of its privacy budget as a person or a program reads it."""

import json
import math
from pathlib import Path

from rich.console import Console
from rich.text import Text

from client.ledger.account import MOST_ROUNDS, Account, Run, read_account
from common.counting import counted
from common.errors import escaped
from common.folding_table import FoldingTable
from common.privacy.accounting import BEYOND_BUDGETS, Release, Spend

SHORT = 10
"""Characters of a federation file's digest that are shown."""


NO_GUARANTEE = "no guarantee"


ACCOUNTED_TOGETHER = "Runs are accounted for together: epsilons alone do not add up to what was spent."


COUNTED_FROM_APPROVAL = "Runs are counted from the last approval of their file."


COUNTED_THOUGH_INTERRUPTED = (
    "Interrupted, counted: reserved and never committed, as after a crash or while a round is running."
)


def show(folder: Path, begun: bool, as_json: bool) -> None:
    """Print the account of a site folder, `begun` if its ledger has just begun after a loss.

    Raises:
        InputError, Refusal: as `client.ledger.account` does.
    """
    account = read_account(folder)
    if as_json:
        print(json.dumps(account.as_json(), indent=2))
    else:
        print_account(account, begun)


def print_account(account: Account, begun: bool = False) -> None:
    """Print an account in words, `begun` if its ledger has just been begun after a loss."""
    console = Console(highlight=False, markup=False)
    if begun:
        console.print(_acknowledged(account), soft_wrap=True)
    _print(account, console)


def _acknowledged(account: Account) -> str:
    carried = account.runs[0].releases
    what = (
        "; ".join(map(release_text, carried)) if carried else "nothing, as nothing was known to be released"
    )
    return f"A new ledger was begun. Carried over: {what}.\n"


def _print(account: Account, console: Console) -> None:
    if not account.runs:
        state = "there is no privacy ledger yet" if account.entries is None else "the privacy ledger is empty"
        console.print(f"{account.site}: {state}; no release of this cohort is recorded.", soft_wrap=True)
        console.print(_limit(account), soft_wrap=True)
        return
    console.print(f"{account.site}: {_spent(account.total)}{_per(account)}", soft_wrap=True)
    console.print(_limit(account), soft_wrap=True)
    console.print(_table(account))
    console.print(COUNTED_FROM_APPROVAL, soft_wrap=True)
    for run in account.runs:
        if run.note:
            console.print(f"Acknowledged on {run.first[:10]}: {escaped(run.note)}", soft_wrap=True)
    if len(account.runs) > 1 and math.isfinite(account.total.epsilon):
        console.print(ACCOUNTED_TOGETHER, soft_wrap=True)
    if any(run.uncommitted for run in account.runs):
        console.print(COUNTED_THOUGH_INTERRUPTED, soft_wrap=True)


def _per(account: Account) -> str:
    return f" Unit of privacy: {account.unit}." if account.unit else ""


def _spent(total: Spend) -> str:
    if not math.isfinite(total.epsilon):
        return f"{NO_GUARANTEE}: something was released without noise, so epsilon is infinite."
    moments, losses = f"moments accountant {total.rdp:.3f}", f"loss distributions {_prv(total)}"
    return f"epsilon {total.epsilon:.3f} spent so far at delta {total.delta:g} ({moments}, {losses})."


def _prv(total: Spend) -> str:
    return f"{total.prv:.3f}" if math.isfinite(total.prv) else f"not computed above {BEYOND_BUDGETS:g}"


def _limit(account: Account) -> str:
    maximum, further = account.policy.maximum_epsilon, account.further_rounds
    if maximum is None:
        return "The policy sets no limit (policy.maximum_epsilon in site.toml)."
    allowed = f"The policy allows {maximum:g} at delta {account.policy.delta:g}"
    if further is None:
        return f"{allowed}; no round of training is recorded yet to tell how many would fit."
    if account.last_round is None:
        return f"{allowed}: no round fits any more."
    number = f"more than {MOST_ROUNDS:,}" if further > MOST_ROUNDS else f"{further:,}" if further else "no"
    rounds, fit = ("round", "fits") if further == 1 else ("rounds", "fit")
    return f"{allowed}: {number} more {rounds} like the last ({release_text(account.last_round)}) {fit}."


def _table(account: Account) -> FoldingTable:
    table = FoldingTable()
    table.add_column("Federation")
    table.add_column("Runs", justify="right")
    table.add_column("Rounds", justify="right")
    table.add_column("Released")
    table.add_column("Epsilon alone", justify="right")
    table.add_column("Dates (UTC)")
    for run in account.runs:
        if not run.digest and not run.releases:  # a note alone
            continue
        released = [release_text(release) for release in run.releases]
        if run.uncommitted:
            released.append(f"{run.uncommitted} of these interrupted, counted")
        table.add_row(
            Text(run.digest[:SHORT] or "carried over"),
            str(run.since_approval) if run.digest else "",
            "" if run.rounds is None or not run.digest else str(run.rounds),
            Text("\n".join(released)),
            f"{run.alone.epsilon:.3f}" if math.isfinite(run.alone.epsilon) else NO_GUARANTEE,
            _dates(run),
        )
    return table


def _dates(run: Run) -> str:
    first, last = run.first[:10], run.last[:10]
    return first if first == last else f"{first} to {last}"


def release_text(release: Release) -> str:
    """A mechanism in words."""
    times = counted(release.steps, "step")
    if release.mechanism == "without-privacy":
        return f"training without privacy: {NO_GUARANTEE}"
    if release.mechanism == "public-statistics":
        return "public statistics: outside the guarantee"
    if release.mechanism in ("statistics", "explanations"):
        again = "" if release.steps == 1 else f", {counted(release.steps, 'time')}"
        return f"{release.mechanism}: noise {release.noise_multiplier:.4g}{again}"
    rate = f"sampling rate {release.sampling_rate:.4g}"
    return f"training: noise {release.noise_multiplier:.4g}, {rate}, {times}"
