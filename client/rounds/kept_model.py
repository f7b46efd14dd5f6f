"""Model that a run keeps, as a hospital has seen it in a question of the assessment.

It lies beside the weights that runs sent last, for the hospital's own report of the run, and says nothing of a patient
that the coordinator's model does not.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from client.rounds.site import Site
from client.site_folder.places import Home
from common.errors import UnreadableFileError
from common.files import read_private, write_whole
from common.messages.exchange import AssessmentRequest
from common.messages.packing import Arrays
from common.release.stamp import stamp_of

log = logging.getLogger("consilium.site")

SUFFIX = "-kept.safetensors"


@dataclass(frozen=True)
class KeptModel:
    """Weights and preprocessing that a run keeps.

    Attributes:
        run: Flower's number of the run.
        federation: digest of the agreement.
        weights: parameter -> array.
        preprocessing: as in a request.
    """

    run: int
    federation: str
    weights: Arrays
    preprocessing: Arrays


def keep_model(site: Site, run: int, request: AssessmentRequest) -> None:
    """Keep the model of a run's first question; a full disk only costs the report."""
    path = _path(Home(site.folder), run)
    if path.exists():
        return
    arrays = {f"weights/{name}": np.ascontiguousarray(array) for name, array in request.weights.items()}
    arrays |= {
        f"preprocessing/{name}": np.ascontiguousarray(array) for name, array in request.preprocessing.items()
    }
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_whole(path, save(arrays, {"federation": request.federation}), 0o600)
    except OSError as error:
        log.warning("the kept model of the run cannot be written (%s)", type(error).__name__)


def kept_runs(home: Home) -> list[int]:
    """List the runs whose kept model is here, the last one last."""
    paths = [path for path in home.asked.glob(f"*{SUFFIX}") if path.name.removesuffix(SUFFIX).isdigit()]
    paths.sort(key=lambda path: path.stat().st_mtime_ns)
    return [int(path.name.removesuffix(SUFFIX)) for path in paths]


def read_kept_model(home: Home, run: int) -> KeptModel | None:
    """Read the kept model of a run; None if it is not here.

    Raises:
        InputError: if the file is damaged.
    """
    path = _path(home, run)
    if not path.is_file() or (content := read_private(path)) is None:
        return None
    try:
        arrays, stamp = load(content), stamp_of(content)
    except (SafetensorError, ValueError):
        raise UnreadableFileError(
            str(path), "is damaged", "remove it, and adopt the release of the run"
        ) from None
    parts: dict[str, Arrays] = {"weights": {}, "preprocessing": {}}
    for key, array in arrays.items():
        kind, _, name = key.partition("/")
        parts.setdefault(kind, {})[name] = array
    return KeptModel(run, stamp.get("federation", ""), parts["weights"], parts["preprocessing"])


def _path(home: Home, run: int) -> Path:
    return home.asked / f"{run}{SUFFIX}"
