"""Accuracy that an encoding of updates costs: the federated arm on the same folds and seeds."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from flwr.app import Context, Message
from flwr.serverapp import Grid, ServerApp
from torch import Tensor

from client.data.inspection import read_cohort
from client.flower.internals import weigh
from common.agreement.federation import FILE_NAME, Federation, load
from common.agreement.settings import Wire
from common.evaluation.predictions import Prediction
from common.files import write_whole
from common.messages.exchange import PACKED
from common.models.registry import build_model
from common.patients.batch import concatenate
from server.app import server_app
from simulations.cohorts.folders import find_sites, twin
from simulations.cohorts.sources import write_cohort
from simulations.engines.in_process import run_in_process
from simulations.engines.pass_through_grid import PassThroughGrid
from simulations.experiment.arms import CLIENT_APP, read_trained, write_agreement
from simulations.experiment.preparing import MADE_FOLDS, state_in
from simulations.experiment.scoring import SMALLEST_GROUP
from simulations.families.folds import with_folds
from simulations.families.patients.held_out import HeldOutTask
from simulations.families.patients.prediction import predict
from simulations.families.patients.study import PatientStudy
from simulations.results.machine import Machine, Record, Score, machine
from simulations.work_folder import work_folder

WIRES = (
    Wire(),
    Wire(update="float16"),
    Wire(update="int8"),
    Wire(update="top-k", share=0.2),
    Wire(update="top-k", share=0.09),
)
"""About 1, 2, 4, 8 and 16 times fewer bytes than float32."""


COHORTS = ("tcga-pan5", "fed-tcga-brca")


SEEDS = {"fed-tcga-brca": 10}
"""Cohort -> number of seeds per fold; 1 for a cohort that is not named, whose folds are pairs enough."""


class EncodingRun(Record):
    """Run of a federation trained with one encoding.

    Attributes:
        replies: number of trained updates that left hospitals in all rounds.
        update_bytes: bytes of all updates, packed with their manifests.
        message_bytes: bytes of all updates as Flower sends them.
        metrics: task -> headline metric on the held-out patients.
        within: task -> mean of the headline metric within subgroups; none where hospitals are the groups.
    """

    cohort: str
    wire: Wire
    fold: int
    seed: int
    rounds: int
    replies: int
    update_bytes: int
    message_bytes: int
    metrics: dict[str, Score]
    within: dict[str, Score]
    machine: Machine

    @property
    def pair(self) -> tuple[int, int]:
        """Fold and seed, which pair a run with the runs of other encodings."""
        return self.fold, self.seed


def name_of(wire: Wire) -> str:
    """Name of an encoding in the row of a table."""
    return wire.update if wire.share is None else f"{wire.update} {wire.share:g}"


def run_accuracy(cohorts: Sequence[str], data: Path | None, out: Path) -> list[EncodingRun]:
    """Train cohorts with every encoding, fold and seed; a run that is already in `out` is kept.

    Raises:
        InputError: if a cohort is unknown or its data are not there.
    """
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    return [
        run for name in cohorts for seed in range(SEEDS.get(name, 1)) for run in _runs(name, data, seed, out)
    ]


def _runs(name: str, data: Path | None, seed: int, out: Path) -> Iterator[EncodingRun]:
    with work_folder() as folder, state_in(folder):
        cohort = FoldedCohort(name, data, seed, folder)
        for fold in cohort.folds:
            for wire in WIRES:
                file = out / f"{name}-{name_of(wire).replace(' ', '-')}-fold{fold}-seed{seed}.json"
                if not file.is_file():
                    write_whole(file, cohort.run(wire, fold).model_dump_json(indent=2).encode() + b"\n")
                run = EncodingRun.model_validate_json(file.read_bytes(), strict=False)
                print(f"{name}, {name_of(wire)}, fold {fold}, seed {seed}: {run.metrics}", file=sys.stderr)
                yield run


class FoldedCohort:
    """Cohort on disk, with its folds.

    Args:
        name: name of the cohort.
        data: folder of public data.
        seed: seed of all random draws.
        work: empty folder.
    """

    def __init__(self, name: str, data: Path | None, seed: int, work: Path) -> None:
        self.name, self.seed, self._work, self._public = name, seed, work, work / "cohort"
        write_cohort(name, data, self._public, seed)
        self.federation = load(self._public / FILE_NAME).changed(
            {"training.seed": str(seed), "training.linear_rounds": "0"}  # which encoded updates do without
        )
        sites = find_sites(self._public)
        published = with_folds(PatientStudy(), sites, self.federation, work / "folds", MADE_FOLDS, seed)
        self.sites, self.folds = published
        twins = [twin(site, work / "read" / site.name) for site in self.sites]
        cohorts = [read_cohort(site, self.federation) for site in twins]
        self.everyone = concatenate([cohort.batch for cohort in cohorts])
        self.held_out_in = torch.cat([cohort.fold for cohort in cohorts])
        self.groups = np.array([group for cohort in cohorts for group in cohort.group])
        self.hospitals = {cohort.site for cohort in cohorts}

    def run(self, wire: Wire, fold: int) -> EncodingRun:
        """Train on the other folds with an encoding, and score on the held-out fold."""
        folder = self._work / f"{name_of(wire)}-{fold}"
        agreed = self.federation.model_copy(update={"wire": wire})
        agreement = write_agreement(agreed, self._public, folder)
        nodes = [
            {"site": str(twin(site, folder / "sites" / site.name)), "federation": str(agreement.path)}
            for site in self.sites
        ]
        config: dict[str, bool | float | int | str] = {
            "federation": str(agreement.path),
            "out": str(folder / "out"),
            "fold": fold,
            "seed": self.seed,
        }
        scales = Scales()
        run_in_process(scales.around(server_app()), CLIENT_APP, nodes, config)
        trained = read_trained(folder / "out")
        held = self.held_out_in == fold
        model = build_model(agreed, self._public, self.seed)
        predicted = predict(trained.result, model, agreed, self.everyone.select(held))
        scores = self._held_out(agreed, held, predicted)
        return EncodingRun(
            cohort=self.name,
            wire=wire,
            fold=fold,
            seed=self.seed,
            rounds=len({record.round for record in trained.rounds if record.kind == "train"}),
            replies=scales.replies,
            update_bytes=scales.update_bytes,
            message_bytes=scales.message_bytes,
            metrics={task: whole for task, (whole, _) in scores.items()},
            within={task: within for task, (_, within) in scores.items()},
            machine=machine(),
        )

    def _held_out(
        self, federation: Federation, held: Tensor, predicted: dict[str, Prediction]
    ) -> dict[str, tuple[float, float | None]]:
        """Task -> (headline metric, its mean within subgroups or None) on the held-out patients."""
        training, test = self.everyone.select(~held), self.everyone.select(held)
        groups = self.groups[held.numpy()]
        names = () if {*self.groups} <= self.hospitals else sorted({*groups})
        scores: dict[str, tuple[float, float | None]] = {}
        for task in federation.tasks:
            prediction = predicted[task.name]
            held_out_task = HeldOutTask(
                task=task,
                labels=test.labels[task.name].double().numpy(),
                labelled=test.labelled[task.name].numpy(),
                train_labels=training.labels[task.name].double().numpy(),
                train_labelled=training.labelled[task.name].numpy(),
                groups=tuple(groups),
                arms={"federated": [prediction]},
            )
            rows = [np.flatnonzero(groups == name) for name in names]
            within = [held_out_task.headline(prediction, row) for row in rows if len(row) >= SMALLEST_GROUP]
            whole = held_out_task.headline(prediction)
            scores[task.name] = whole, float(np.nanmean(within)) if within else None
        return scores


class Scales:
    """Scales that weigh the trained updates on their way to a coordinator.

    Attributes:
        replies: number of updates.
        update_bytes: bytes of their packed arrays and manifests.
        message_bytes: bytes of their whole content, as Flower sends it.
    """

    def __init__(self) -> None:
        self.replies = self.update_bytes = self.message_bytes = 0

    def around(self, coordinator: ServerApp) -> ServerApp:
        """Wrap the coordinator's app so that replies of hospitals are weighed on their way."""
        app = ServerApp()

        def main(grid: Grid, context: Context) -> None:
            coordinator(grid=_WeighingGrid(grid, self), context=context)

        app.main()(main)
        return app

    def put(self, reply: Message) -> None:
        """Weigh a message, if it is an update."""
        if reply.has_error() or PACKED not in reply.content or reply.metadata.message_type != "train":
            return
        manifest = reply.content.config_records["header"]["manifest"]
        assert isinstance(manifest, bytes)
        self.replies += 1
        self.update_bytes += reply.content.array_records[PACKED][PACKED].numpy().nbytes + len(manifest)
        self.message_bytes += weigh(reply.content)[0]


class _WeighingGrid(PassThroughGrid):
    """Grid that weighs the replies it hands on."""

    def __init__(self, grid: Grid, scales: Scales) -> None:
        super().__init__(grid)
        self._scales = scales

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Replies to messages that were pushed, weighed."""
        for reply in super().pull_messages(message_ids):
            self._scales.put(reply)
            yield reply
