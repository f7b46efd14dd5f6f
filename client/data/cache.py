"""What a site keeps on its own disk of what it built from tables and agreement, for the next message's process.

It is one file, `HASH.CONTENT.safetensors`. HASH is over the content of everything it was built from and the versions
of what built it: a table that was edited, even in place and with its old time put back, gives another hash, and the
file is no longer found. Hashing a table costs little beside reading it, so no time or size stands in for the content.
CONTENT is the hash of the file itself. A file that is spoilt, foreign or in a place that others can get at is not
used, and nothing fails because of it: the site is built from its tables, as without a cache.

The file holds patients' values and labels. It holds no identifier, and no subgroup either, which hospitals name
themselves and training does not ask for.
"""

import hashlib
import json
import logging
import os
import stat
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from client.data.cohort import Cohort
from client.data.inspection import read_cohort
from client.site_folder.site_file import OUTCOMES, SITE_FILE, SiteFile
from common.agreement.bundle import PACKAGE
from common.agreement.federation import Federation
from common.files import is_private, read_private, write_whole
from common.models.graphs import Membership, Prior, Topology, load_prior
from common.patients.batch import PatientBatch

log = logging.getLogger("consilium.cache")


FORMAT = 1
"""Of the file; another one's is not found."""


BUILDERS = (PACKAGE, "torch", "numpy", "pandas", "pyarrow")


_SUFFIX = ".safetensors"


_TOLD = "told"


_MATRICES = ("matrix", "transposed")


@dataclass(frozen=True)
class Built:
    """What is built of a site's tables and its agreement's public files; a cohort that was kept has no subgroups."""

    prior: Prior
    cohort: Cohort


def built_or_kept(
    cache: Path, folder: Path, agreement: Path, site: SiteFile, federation: Federation
) -> Built:
    """What an earlier process kept, if it was built from exactly these files; else built now, and kept.

    Args:
        cache: a folder, made if the one around it is there and nobody else's.
        folder: the site folder.
        agreement: the hospital's own copy of the federation file, its public files beside it.
        site: its `site.toml`.
        federation: what the agreement says.

    Raises:
        InputError: if the tables do not satisfy the federation file.
    """
    usable = _is_usable(cache)
    before = _hash(folder, agreement, site, federation) if usable else None
    if before is not None and (kept := _read(cache, before, site, federation)) is not None:
        return kept
    built = Built(load_prior(federation, agreement.parent), read_cohort(folder, federation))
    if before is not None and before == _hash(folder, agreement, site, federation):  # nobody edited meanwhile
        _keep(cache, before, built)
    return built


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid()


def _is_usable(cache: Path) -> bool:
    """Whether the folder is there, or could be made, in a place that only this user can change."""
    try:
        around = cache.parent.lstat()
        if not _is_ours(around) or stat.S_IMODE(around.st_mode) & 0o022 or not stat.S_ISDIR(around.st_mode):
            log.warning("not used: the folder around it is not this user's alone")
            return False
        cache.mkdir(mode=0o700, exist_ok=True)
        if not is_private(cache):
            log.warning("not used: other users can read or write its folder")
            return False
    except FileNotFoundError:  # a site that was never started
        return False
    except OSError as error:
        log.warning("not used: %s", type(error).__name__)
        return False
    return True


def _hash(folder: Path, agreement: Path, site: SiteFile, federation: Federation) -> str | None:
    """Of everything that a site is built from; None if some of it cannot be read."""
    wanted = [OUTCOMES, *(modality.name for modality in federation.modalities)]
    files = {
        SITE_FILE: folder / SITE_FILE,
        "agreement": agreement,
        **{f"table {name}": folder / site.tables[name] for name in wanted if name in site.tables},
        **{f"public {file.path}": agreement.parent / file.path for file in federation.public_files},
    }
    try:
        contents = {name: _digest(path) for name, path in files.items()}
    except OSError:
        return None
    versions = {name: version(name) for name in BUILDERS}
    return hashlib.sha256(json.dumps([FORMAT, versions, contents]).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(cache: Path, key: str, site: SiteFile, federation: Federation) -> Built | None:
    """What was kept under a key; None if nothing was, or not as it was kept."""
    for path in cache.glob(f"{key}.*{_SUFFIX}"):
        try:
            content = read_private(path)
            if content is None:
                log.warning("not used: the file is not this user's alone")
                continue
            if path.name != _name(key, content):
                log.warning("spoilt, and built anew")
                continue
            return _unpacked(load(content), site, federation)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            log.warning("not usable (%s), and built anew", type(error).__name__)
    return None


def _keep(cache: Path, key: str, built: Built) -> None:
    """Write what was built, whole or not at all, and remove whatever else is there."""
    try:
        content = save(_packed(built))
        path = cache / _name(key, content)
        write_whole(path, content, 0o600)
        for other in cache.iterdir():
            if other.name != path.name and not other.is_dir():
                other.unlink(missing_ok=True)
    except OSError as error:
        log.warning("nothing was kept: %s", type(error).__name__)


def _name(key: str, content: bytes) -> str:
    return f"{key}.{hashlib.sha256(content).hexdigest()}{_SUFFIX}"


def _packed(built: Built) -> dict[str, Tensor]:
    """Named tensors; what is no tensor is JSON under `_TOLD`."""
    prior, cohort = built.prior, built.cohort
    tensors = {"fold": cohort.fold}
    for field in fields(PatientBatch):
        for name, tensor in getattr(cohort.batch, field.name).items():
            tensors[f"{field.name} {name}"] = tensor
    for kind, graphs in (("topology", prior.topology), ("hierarchy", prior.hierarchy)):
        for name, graph in graphs.items():
            tensors |= {
                f"{kind} {name} {field.name}": getattr(graph, field.name) for field in fields(Topology)
            }
    for name, members in prior.membership.items():
        for kind in _MATRICES:
            matrix = getattr(members, kind)
            place = f"membership {name} {kind}"
            tensors[f"{place} rows"], tensors[f"{place} columns"] = (
                matrix.crow_indices(),
                matrix.col_indices(),
            )
            tensors[f"{place} values"] = matrix.values()
    told = {
        "unmatched": cohort.unmatched,
        "pathways": {name: members.pathways for name, members in prior.membership.items()},
    }
    tensors[_TOLD] = torch.frombuffer(bytearray(json.dumps(told).encode()), dtype=torch.uint8)
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _unpacked(tensors: dict[str, Tensor], site: SiteFile, federation: Federation) -> Built:
    told = json.loads(tensors[_TOLD].numpy().tobytes())
    modalities = [modality.name for modality in federation.modalities]
    tasks = [task.name for task in federation.tasks]

    def all_of(kind: str, names: list[str]) -> dict[str, Tensor]:
        return {name: tensors[f"{kind} {name}"] for name in names}

    def graph(kind: str, name: str) -> Topology:
        return Topology(**{field.name: tensors[f"{kind} {name} {field.name}"] for field in fields(Topology)})

    batch = PatientBatch(
        all_of("values", modalities),
        all_of("observed", modalities),
        all_of("labels", tasks),
        all_of("labelled", tasks),
    )
    members = {
        name: _membership(tensors, name, tuple(pathways), len(federation.modality(name).nodes))
        for name, pathways in told["pathways"].items()
    }
    prior = Prior(
        {name: graph("topology", name) for name in modalities},
        members,
        {name: graph("hierarchy", name) for name in members},
    )
    cohort = Cohort(site.name, batch, tensors["fold"], (site.name,) * len(batch), dict(told["unmatched"]))
    return Built(prior, cohort)


def _membership(tensors: dict[str, Tensor], name: str, pathways: tuple[str, ...], nodes: int) -> Membership:
    sizes = {"matrix": (len(pathways), nodes), "transposed": (nodes, len(pathways))}

    def matrix(kind: str) -> Tensor:
        place = f"membership {name} {kind}"
        rows, columns, values = (tensors[f"{place} {part}"] for part in ("rows", "columns", "values"))
        with torch.sparse.check_sparse_tensor_invariants(False):
            return torch.sparse_csr_tensor(rows, columns, values, size=sizes[kind])

    return Membership(pathways, matrix("matrix"), matrix("transposed"))
