"""Folder of a run that has ended, with the sums about its model."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from common.agreement.federation import FILE_NAME, Federation
from common.agreement.settings import Training
from common.assessment.part import SiteSums, parts_of
from common.assessment.view import View
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing, site_statistics
from common.prediction.network import Network
from common.records import Records
from common.release.members import PREPROCESSING, WEIGHTS
from server.records.assessment import write_answers
from server.records.dropped import Dropped, DropReason
from server.records.journal import AssessedSite, AssessmentRecord, Journal, RoundRecord, RunRecord, SiteRecord
from server.records.result import load_result
from server.records.statistics import write_statistics
from tests.released import Coordinator

PAIRS = {"comparable:survival": 300.0, "validation_patients": 30.0}


class NoModel:
    """Stands where a view has its model; the answers come from elsewhere."""


@pytest.fixture
def finished(
    make_federation: Callable[..., Federation],
    make_batch: Callable[..., PatientBatch],
    preprocessing: Preprocessing,
    tmp_path: Path,
) -> Path:
    """Run of two rounds, of which one hospital missed the second, and another all."""
    federation = make_federation(training=Training(rounds=2, test_fraction=0.2))
    maker, out = Coordinator(tmp_path / "maker", federation), tmp_path / "run"
    members = maker.members(0)
    out.mkdir()
    for member in (WEIGHTS, PREPROCESSING):
        (out / member).write_bytes(members[member])
    (out / FILE_NAME).write_bytes((maker.folder / FILE_NAME).read_bytes())
    _answers(out, federation, make_batch, preprocessing)
    sites = {
        site: site_statistics(make_batch(200, seed=seed), federation).moments
        for seed, site in enumerate(("one", "two"))
    }
    write_statistics(out, {site: dict(sums) for site, sums in sites.items()})
    run = RunRecord(
        status="started",
        federation=federation.name,
        digest=federation.digest,
        strategy="fedavg",
        fold=-1,
        seed=0,
        sites=("one", "two"),
        left_out=(Dropped(site="three", reason=DropReason.NOT_ENROLLED),),
    )
    trained, judged = SiteRecord(patients={"patients": 200.0}, metrics=PAIRS), SiteRecord(metrics=PAIRS)
    away = (Dropped(site="two", reason=DropReason.NO_REPLY),)
    common = {"seconds": 1.5, "applied": True, "concordance": {"survival": 0.7}, "validation_loss": 2.0}
    with Journal(out) as journal:
        journal.write(run)
        journal.write(RoundRecord(kind="train", round=1, sites={"one": trained, "two": trained}, **common))
        journal.write(RoundRecord(kind="train", round=2, sites={"one": trained}, dropped=away, **common))
        journal.write(RoundRecord(kind="evaluate", round=3, sites={"one": judged, "two": judged}, **common))
        answered = {"one": AssessedSite(patients=400, sha256="")}
        journal.write(AssessmentRecord(part="test", number=1, seconds=1.0, sites=answered, dropped=away))
        journal.write(
            run.model_copy(update={"status": "completed", "rounds": 2, "best_round": 1, "best_loss": 2.0})
        )
    return out


def _answers(
    out: Path, federation: Federation, make_batch: Callable[..., PatientBatch], preprocessing: Preprocessing
) -> None:
    """Write the answers of two hospitals about test patients."""
    network = Network(federation, preprocessing, {}, NoModel())  # type: ignore[arg-type]
    views = {}
    for seed, site in enumerate(("one", "two")):
        draw = torch.Generator().manual_seed(seed)
        outputs = {task.name: torch.randn(400, task.outputs, generator=draw) for task in federation.tasks}

        def answers(
            model: object, records: Records, made: dict[str, torch.Tensor] = outputs
        ) -> dict[str, torch.Tensor]:
            return made

        views[site] = View[Federation, PatientBatch, Preprocessing](
            network, make_batch(400, seed=seed), 5, answers
        )
    (part,) = (part for part in parts_of(federation) if part.name == "test")
    weights = load_result(out).weights
    first = {site: SiteSums(400, part.computed(view, {}, 0)) for site, view in views.items()}
    write_answers(out, part, 0, weights, first)
    edges = part.next(federation, first, 0)
    last = {site: SiteSums(400, part.computed(view, edges, 1)) for site, view in views.items()}
    write_answers(out, part, 1, weights, last)
