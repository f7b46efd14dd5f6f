"""Error feedback (Seide et al. 2014): the next update makes up for what an encoding lost.

In round t the site encodes u_t + e_{t-1}, its update and what is left of the earlier ones, and keeps

    e_t = u_t + e_{t-1} - decoded,      e_0 = 0.

So everything that the coordinator takes arrives in the end (what it drops, or what comes too late, is lost as an
update in float32 would be), and with a biased encoding such as `top-k` training still converges (Karimireddy et
al. 2019). Parameters that a round did not train have no part in it: nothing of them leaves, and what is left of
them waits. Under privacy this comes after the noise: the residual is of the noised update alone.

The residual tells of patients as an update does. It stays in the site's state folder, readable to its user alone, with
the run, agreement, fold and round that it follows; under any other it counts as none. Beside it is the one before:
a round that is asked for again is answered as it was the first time.
"""

import hashlib
import json
import logging
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from common.agreement.settings import Wire
from common.errors import MachineError, Refusal, RefusalCode
from common.files import read_private, write_whole
from common.messages.compression import Update, decode, encode, flatten, largest_entry
from common.messages.exchange import ModelRequest
from common.messages.packing import Arrays

log = logging.getLogger("consilium.error_feedback")


SHORTENED = 0.98
"""Share of the limit to which an update is shortened, since encoding rounds once more."""


class ResidualFault(StrEnum):
    """Code in the log of why a residual is not used."""

    EXPOSED = "residual-exposed"
    SPOILT = "residual-spoilt"
    UNREADABLE = "residual-unreadable"


class Series(NamedTuple):
    """Rounds that share a residual: of one run, under one agreement, with one fold held out."""

    run: int
    federation: str
    fold: int


def encoded_update(
    path: Path,
    run: int,
    request: ModelRequest,
    weights: Arrays,
    trained: Collection[str],
    wire: Wire,
    limit: float | None = None,
) -> Arrays:
    """Encode the change of weights plus the residual of earlier rounds.

    The new residual, which the encoding lost, stays on disk.

    Args:
        path: of the residual.
        run: Flower's id of the run.
        request: of the round.
        weights: after training.
        trained: the parameters that have a part in this round.
        wire: an encoding other than float32.
        limit: of the policy on the L2 norm of an update. A change beyond it leaves nothing behind, now or later; one
            that is beyond it with what is left of earlier rounds is shortened, and the rest waits.

    Raises:
        InputError: if the residual cannot be written.
        Refusal: if the change is not finite, too large for the encoding, or beyond the limit.
    """
    shapes = {name: array.shape for name, array in request.weights.items()}
    has_part = flatten({name: np.full(shapes[name], name in trained, np.float32) for name in shapes}) > 0
    series = Series(run, request.federation, request.fold)
    before = _residual(path, series, request.round, len(has_part))
    with np.errstate(over="ignore"):
        change = np.where(has_part, flatten(weights) - flatten(request.weights), np.float32(0))
        wanted = np.where(has_part, change + before, np.float32(0))
    if not np.isfinite(wanted).all() or np.abs(wanted).max(initial=0) > largest_entry(wire):
        raise Refusal(RefusalCode.TRAINING_DIVERGED)
    if limit is not None and _norm(change) > limit:
        raise Refusal(RefusalCode.GATE_BLOCKED)
    arrays = encode(wanted, wire, shapes)
    if limit is not None and (norm := _norm(decode(arrays, wire, shapes))) > limit:
        arrays = encode((wanted * (SHORTENED * limit / norm)).astype(np.float32), wire, shapes)
    after = np.where(has_part, wanted - decode(arrays, wire, shapes), before)
    _keep(path, series, request.round, before, after)
    return arrays


def _norm(update: Update) -> float:
    return float(np.linalg.norm(update.astype(np.float64)))


def _residual(path: Path, series: Series, round_: int, size: int) -> Update:
    """Read the residual of earlier rounds [P]; zeros if there is none of this series."""
    nothing = np.zeros(size, np.float32)
    try:
        content = read_private(path)
        if content is None:
            _warn(ResidualFault.EXPOSED, "other users can read or write its file")
            return nothing
        kept = load(content)
        header = json.loads(kept["told"].tobytes())
        if header["series"] != [*series] or header["round"] > round_:
            return nothing
        is_again = header["round"] == round_
        if header["sha256"] != _hash(kept["before"], kept["after"]):
            _warn(ResidualFault.SPOILT, "its file is damaged")
            return nothing
        residual = kept["before" if is_again else "after"]
        fits = residual.dtype == np.float32 and residual.shape == (size,) and np.isfinite(residual).all()
        return residual if fits else nothing
    except FileNotFoundError:
        return nothing
    except (OSError, SafetensorError, ValueError, LookupError, TypeError, RecursionError) as error:
        _warn(ResidualFault.UNREADABLE, type(error).__name__)
        return nothing


def _warn(fault: ResidualFault, why: str) -> None:
    log.warning("the residual is not used: %s", why, extra={"code": fault})


def _keep(path: Path, series: Series, round_: int, before: Update, after: Update) -> None:
    """Write the residual before the update leaves; otherwise the next update would repeat it."""
    header = {"series": [*series], "round": round_, "sha256": _hash(before, after)}
    encoded = np.frombuffer(json.dumps(header).encode(), np.uint8)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_whole(path, save({"before": before, "after": after, "told": encoded}), 0o600)
    except OSError as error:
        what = f"cannot be written ({type(error).__name__})"
        raise MachineError(
            str(path), what, "free space on the disk, and let this user write to the folder"
        ) from None


def _hash(before: Update, after: Update) -> str:
    return hashlib.sha256(before.tobytes() + after.tobytes()).hexdigest()
