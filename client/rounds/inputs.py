"""Inputs of a request held against what the hospital approved and has itself.

The hospital draws the initial weights from the seed of its own copy of the federation file. What the agreement does not
train must equal them; what it trains must lie within what honest training reaches by the round (`client.rounds.reach`),
from the initial weights and from those of the run's last request. The seed is that of the file. Preprocessing under
`declared` is the file's own to the bit; any other must be one that honest sums give
(`common.families.family.Family.is_plausible`), and stays the same for the run (`client.rounds.questions`).

Another processor may round the last bit of an initial weight otherwise. That much is allowed, and changes nothing of
what is not trained: the hospital computes with its own.
"""

import logging
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from client.ledger.entries import AskedQuestion
from client.rounds.reach import reach
from common.agreement.agreement import Agreement
from common.errors import MachineError, Refusal, RefusalCode
from common.files import read_private, write_whole
from common.messages.exchange import ModelRequest
from common.messages.packing import Arrays, digest_of

log = logging.getLogger("consilium.inputs")


ROUNDING = 1e-6
"""Share of a parameter's largest weight by which a processor's rounding may change an initial weight."""


class InputFault(NamedTuple):
    """Part of a request that is not approved, for the site's own log."""

    code: str
    what: str


SEED = InputFault("input-seed", "the seed is not that of the federation file")
UNTRAINED = InputFault("input-untrained", "a parameter that is not trained differs from the initial one")
TOO_FAR = InputFault("input-too-far", "a weight is further from the initial one than training leads")
JUMPED = InputFault("input-jumped", "a weight is further from that of the last request than training leads")
SENT = InputFault("input-unsent", "the weights of an assessment are none that the run has sent before")
SCALING = InputFault(
    "input-scaling", "the preprocessing is not that of the federation file, nor of honest sums"
)


def unapproved(fault: InputFault) -> Refusal:
    """Refusal for a fault, which the log names."""
    log.warning("a request is refused: %s", fault.what, extra={"code": fault.code})
    return Refusal(RefusalCode.INPUT_UNAPPROVED)


def require_approved_inputs(
    request: ModelRequest,
    federation: Agreement,
    initial: Arrays,
    untrained: AbstractSet[str],
    linear: AbstractSet[str] = frozenset(),
) -> None:
    """Refuse a seed or weights that the approved file does not lead to.

    Args:
        request: with exactly the arrays of `initial`, all finite.
        federation: the hospital's own copy.
        initial: weights that a run begins with.
        untrained: parameters that no participant trains.
        linear: parameters of the linear scores.

    Raises:
        Refusal: INPUT_UNAPPROVED.
    """
    if request.seed != federation.training.seed:
        raise unapproved(SEED)
    moved = {part: reach(federation, _largest(initial), request.round, 1, part) for part in (True, False)}
    for name, first in initial.items():
        far = _distance(request.weights[name], first)
        rounding = ROUNDING * _largest({name: first})
        if name in untrained and far > rounding:
            raise unapproved(UNTRAINED)
        if far > moved[name in linear] * (1 + ROUNDING) + rounding:
            raise unapproved(TOO_FAR)


def require_no_jump(
    request: ModelRequest,
    federation: Agreement,
    initial: Arrays,
    last: AskedQuestion,
    folder: Path,
    linear: AbstractSet[str] = frozenset(),
) -> None:
    """Refuse weights too far from those of the run's last request for the rounds in between.

    A file that is gone or spoilt leaves the bound from the initial weights alone, and a line in the log.

    Raises:
        Refusal: INPUT_UNAPPROVED.
    """
    before = _kept(folder, last)
    if before is None:
        return
    moved = {
        part: reach(federation, _largest(initial), request.round, last.round, part) for part in (True, False)
    }
    for name, earlier in before.items():
        rounding = ROUNDING * _largest({name: earlier})
        if _distance(request.weights[name], earlier) > moved[name in linear] * (1 + ROUNDING) + rounding:
            raise unapproved(JUMPED)


def keep_weights(request: ModelRequest, run_id: int, folder: Path) -> None:
    """Keep the weights of a run's last request, in place of those before.

    Raises:
        InputError: if they cannot be written.
    """
    path = weights_file(folder, run_id)
    try:
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        write_whole(
            path, save({name: np.ascontiguousarray(array) for name, array in request.weights.items()}), 0o600
        )
    except OSError as error:
        what = f"cannot be written ({type(error).__name__})"
        remedy = "free space on the disk, and let this user write to the folder"
        raise MachineError(str(path), what, remedy) from None


def weights_file(folder: Path, run_id: int) -> Path:
    """Path of the weights that a run sent last."""
    return folder / f"{run_id}.safetensors"


def _kept(folder: Path, last: AskedQuestion) -> Arrays | None:
    try:
        content = read_private(weights_file(folder, last.run_id))
        weights = None if content is None else load(content)
    except (OSError, SafetensorError, ValueError):
        weights = None
    if weights is not None and digest_of(weights) == last.weights:
        return weights
    log.info("the weights of the last request are gone or spoilt", extra={"code": "asked-weights-spoilt"})
    return None


def _largest(arrays: Arrays) -> float:
    return max((float(np.abs(array).max(initial=0)) for array in arrays.values()), default=0.0)


def _distance(weights: NDArray[Any], others: NDArray[Any]) -> float:
    return float(np.abs(weights.astype(np.float64) - others).max(initial=0))
