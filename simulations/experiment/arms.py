"""Arms with the same network: all hospitals, one hospital alone, and pooled data.

An arm is a federation: a hospital alone is a federation of one participant, and pooled data are one participant that
holds all patients. So every arm has the same apps, preprocessing, budget and stopping rule. Beside the data one thing
differs: a hospital withholds nothing from itself, nor adds noise, nor loses precision on a wire, so that its validation
counts even if it is small.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing import active_children, get_context
from pathlib import Path

import torch

from client.rounds.assembly import close_sites
from common.agreement.agreement import FILE_NAME, Agreement, save
from common.agreement.folder import copy_public_files
from common.agreement.loading import load_agreement
from common.errors import InputError
from server.app import server_app
from server.records.journal import JournalMark, RoundRecord, RunRecord, check_journal, read_journal
from server.records.result import TrainedModel, load_result
from server.runs.coordination import RunFailed
from simulations.engines.in_process import run_in_process
from simulations.engines.names import Engine
from simulations.engines.node import NodeConfig
from simulations.engines.process_pool import available_cores, end_with_parent, uninterrupted
from simulations.engines.room import require_room
from simulations.experiment.absences import absences
from simulations.experiment.finished_runs import is_sealed, open_run, seal_run
from simulations.experiment.site_snapshots import SimulationCheckpoint
from simulations.results.reasons import Cause

CLIENT_APP = "client.app:app"


@dataclass(frozen=True)
class AgreementFile:
    """Federation file on disk with its public files beside it."""

    federation: Agreement
    path: Path


@dataclass(frozen=True)
class TrainedFederation:
    """Result of a federation: kept weights and preprocessing, and the journal."""

    result: TrainedModel
    run: RunRecord
    rounds: Sequence[RoundRecord]


def write_agreement(federation: Agreement, public: Path, folder: Path) -> AgreementFile:
    """Write a federation file into `folder`, with its public files copied from `public`."""
    copy_public_files(federation, public, folder)
    save(federation, folder / FILE_NAME)
    return AgreementFile(federation, folder / FILE_NAME)


@dataclass(frozen=True)
class Job:
    """Federation to train, all of it on disk before and after.

    Attributes:
        device: device on which the sites train, instead of the device in their `site.toml`.
        sharing: number of processes that train jobs at the same time on this machine.
        checkpoint: folder of the run's last state, from which it is resumed; None keeps none.
        is_assessed: whether hospitals send sums about the weights that are kept.
    """

    agreement: Path
    sites: tuple[Path, ...]
    fold: int
    seed: int
    out: Path
    device: str | None = None
    sharing: int = 1
    checkpoint: Path | None = None
    is_assessed: bool = False


def train_federation(
    job: Job,
    engine: Engine = "serial",
    on_round: Callable[[RoundRecord], None] | None = None,
    ray_address: str | None = None,
) -> None:
    """Train one federation to its end, and write weights and journal to the job's `out`.

    Raises:
        InputError: if the engine cannot start.
        server.runs.coordination.RunFailed: if the federation could not be trained.
    """
    sharing = job.sharing if engine == "serial" else min(available_cores(), len(job.sites))
    where = {} if job.device is None else {"device": job.device}
    nodes: list[NodeConfig] = [
        {"site": str(site), "federation": str(job.agreement), "sharing": sharing, "simulated": True, **where}
        for site in job.sites
    ]
    run_config: dict[str, bool | float | int | str] = {
        "federation": str(job.agreement),
        "out": str(job.out),
        "fold": job.fold,
        "seed": job.seed,
    }
    checkpoint = None if job.checkpoint is None else _checkpoint(job, job.checkpoint)
    open_run(job.out)
    try:
        run_in_process(
            server_app(on_round, checkpoint, job.is_assessed),
            CLIENT_APP,
            nodes,
            run_config,
            engine,
            ray_address=ray_address,
            run_id=_run_id(job),
        )
    finally:
        close_sites()  # another run has other folders
    if checkpoint is not None:
        seal_run(job.out)


def _run_id(job: Job) -> int:
    """Return Flower's id of the run, the same for a resumed run.

    Sites keep their residuals under this id.
    """
    identity = f"{load_agreement(job.agreement).digest} {job.fold} {job.seed}"
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:7]) + 1


def _checkpoint(job: Job, folder: Path) -> SimulationCheckpoint:
    """The job's checkpoint, with the sites whose files the run depends on."""
    return SimulationCheckpoint(folder, job.sites)


def is_trained(job: Job) -> bool:
    """Return whether the job's run is finished under the same agreement, with all its files.

    The ledgers of its sites are then as that run left them.

    Raises:
        IntegrityError: if the checkpoint or a file of the run is damaged.
    """
    if job.checkpoint is None:
        return False
    is_over, state = is_sealed(job.out), _checkpoint(job, job.checkpoint).read()
    if state is None:
        check_journal(job.out, JournalMark(), None)
        return False
    check_journal(job.out, state.journal, state.record)
    return is_over and state.finished and state.digest == load_agreement(job.agreement).digest


def read_trained(out: Path) -> TrainedFederation:
    """Read the result of a trained job from its `out`."""
    *records, run = read_journal(out)
    assert isinstance(run, RunRecord)
    return TrainedFederation(
        load_result(out), run, [record for record in records if isinstance(record, RoundRecord)]
    )


def train_side_by_side(
    jobs: Sequence[Job],
    processes: int,
    on_done: Callable[[Job, Cause | None], None],
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Train independent federations, in worker processes if `processes` is above 1.

    Args:
        jobs: the federations, in the order in which they begin.
        processes: number of worker processes.
        on_done: is called with a job, and the cause for which it could not be trained or None.
        is_over: is asked after every job whether the rest stays undone; what has begun, and one that
            is next, is trained to its end.

    Raises:
        IntegrityError: if the checkpoint of a job is damaged.
    """
    left = []
    for job in jobs:
        if is_trained(job):
            on_done(job, None)
        else:
            left.append(job)
    if processes == 1:
        for job in left:
            if is_over():
                return
            on_done(job, _attempt(job))
        return
    waiting, running = deque(left), dict[Future[Cause | None], Job]()
    earlier = set(active_children())
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        try:
            while waiting or running:
                with uninterrupted():
                    while (
                        waiting and len(running) <= processes
                    ):  # with the next for the process that ends first
                        job = waiting.popleft()
                        running[pool.submit(_attempt, replace(job, sharing=processes))] = job
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    on_done(running.pop(future), future.result())
                if is_over():
                    waiting.clear()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(active_children()) - earlier:
                child.kill()
            raise


def _attempt(job: Job) -> Cause | None:
    """Train with one thread, and return the cause for which the federation could not be trained.

    Too few events at a hospital is an outcome of the experiment, not an error.
    """
    torch.set_num_threads(1)
    try:
        train_federation(job)
    except RunFailed as error:
        require_room(job.out)
        return _refusal(job) or Cause(code="run-failed", text=str(error))
    except InputError as error:
        require_room(job.out)
        return Cause(code=error.code.value, text=str(error))
    return None


def _refusal(job: Job) -> Cause | None:
    """Cause that the only site of a failed run gave, by its journal; None with several sites."""
    if len(job.sites) > 1:
        return None
    absent = absences(read_journal(job.out), [load_agreement(job.agreement).participants[0].name])
    return Cause(code=absent[-1].code, text=absent[-1].text) if absent else None
