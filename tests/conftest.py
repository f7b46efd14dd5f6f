"""A small federation and random patients of it, made by hand."""

import os
import re
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch

from client.privacy.kernels import choose_kernels
from common.agreement.federation import FILE_NAME, Federation, load, save
from common.agreement.modalities import Modality
from common.agreement.model_config import HierarchicalConfig
from common.agreement.settings import Participant, Training
from common.models.graphs import Prior, membership, topology
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.toxicity import ToxicityTask
from server.home.places import speaks_ipv6
from tests.attacks.attack_table import ROWS, AttackRow, lines, row_of
from tests.loopback_ray import loopback_cluster

choose_kernels()  # before the first product of any test

# Several threads on matrices this small wait for one another, on a busy machine for minutes.
torch.set_num_threads(1)

GENES = tuple(f"GENE{index}" for index in range(12))
EDGES = [(0, 1), (1, 2), (2, 3), (0, 4), (5, 6), (6, 7), (8, 9)]
PATHWAYS = [("alpha", f"GENE{index}") for index in range(5)] + [
    ("beta", f"GENE{index}") for index in range(4, 9)
]
CUTS = {"survival": torch.tensor([1.0, 2.0, 4.0, 8.0])}


def _federation(**changes: object) -> Federation:
    """Four modalities of which one has pathways, and one task of every kind."""
    parts: dict[str, object] = {
        "name": "test",
        "modalities": (
            Modality(name="clinical", node="clinical", columns=("age",), categories={"sex": ("f", "m")}),
            Modality(name="rna", node="gene", columns=GENES),
            Modality(name="protein", node="protein", columns=("P1", "P2", "P3")),
            Modality(name="imaging", node="imaging", columns=("i1", "i2", "i3", "i4")),
        ),
        "tasks": (
            SurvivalTask(name="survival", time="time", event="event", unit="months", longest=100, bins=4),
            ResponseTask(name="response", label="response", classes=("no", "partial", "yes")),
            ToxicityTask(name="toxicity", labels=("rash", "nausea")),
        ),
        "model": HierarchicalConfig(node_width=4, pathway_width=6, width=8, heads=2, gat_layers=1),
        "training": Training(rounds=3, batch_size=4),
        "participants": (Participant(name="one"), Participant(name="two")),
    }
    return Federation.model_validate(parts | changes)


@pytest.fixture(scope="session", autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Privacy ledgers leave nothing in the user's home, not even those of fixtures that several tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONSILIUM_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_the_disk() -> Iterator[None]:
    """Files are written and not synced: a process that is killed here loses nothing, and no power is cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


LONG = (
    "tests/simulations/test_simulate_private.py",
    "tests/simulations/test_simulate.py",
    "tests/simulations/test_interrupted.py",
    "tests/system/test_capture.py",
    "tests/system/test_engines.py",
    "tests/simulations/experiment/test_checkpoint.py",
    "tests/simulations/experiment/test_experiment.py",
    "tests/plugins/test_numbers_study.py",
    "tests/plugins/test_numbers.py",
    "tests/plugins/test_mylab.py",
    "tests/simulations/tuning/test_tune.py",
    "tests/docs/test_notebooks.py",
    "tests/simulations/experiment/test_arms.py",
    "tests/client/privacy/test_slots.py",
    "tests/client/privacy/test_dp_sgd.py",
    "tests/common/privacy/test_accounting.py",
    "tests/client/runtime/test_gatekeeper.py",
    "tests/client/runtime/test_services.py",
    "tests/simulations/benchmarks/field/test_table.py",
    "tests/simulations/cohorts/test_sources.py",
    "tests/simulations/benchmarks/rounds/test_federated_run.py",
    "tests/docs/test_extending.py",
)
"""Files with the longest tests, which begin first: of several processes none waits long for the last."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the long files before all others, which keep their order."""
    order = {config.rootpath / name: number for number, name in enumerate(LONG)}
    if missing := [str(path) for path in order if not path.is_file()]:
        raise pytest.UsageError(
            f"{', '.join(missing)}: of the long files in tests/conftest.py, but not there"
        )
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture
def attack_row(request: pytest.FixtureRequest) -> AttackRow:
    """Records a row of the table that `make attack` prints: finding, promised, measured."""
    return row_of(request)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table of attacks where a run asked for them."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    rows = [row for report in reports for name, row in report.user_properties if name == ROWS]
    if rows and "attack" in config.option.markexpr.replace("not attack", ""):
        terminalreporter.section("attacks")
        for line in lines(sorted(tuple(row) for row in rows)):
            terminalreporter.write_line(line)


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    """A Ray of two cores on the loopback interface, for tests that need not see one start."""
    with loopback_cluster(2) as cluster:
        yield cluster.address


@pytest.fixture(scope="session")
def nginx() -> str:
    """The proxy in front of a coordinator: no Python package, so a machine that runs the tests may lack it."""
    found = shutil.which("nginx", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"]))
    if found is None:
        pytest.skip("nginx is not installed; `apt-get install nginx-light` brings it")
    return found


@pytest.fixture(scope="session")
def ipv6() -> None:
    """A machine with IPv6, which not every container has."""
    if not speaks_ipv6():
        pytest.skip("this machine has no IPv6")


@pytest.fixture
def use_threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads that torch uses, until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def gpu() -> torch.device:
    """The first GPU, for a test that is marked `cuda`."""
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device here; on a machine with one, `make test-cuda` runs this")
    return torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def _same_draws_every_time() -> None:
    torch.manual_seed(0)


def draw_anew_a_few_times(patch: pytest.MonkeyPatch) -> None:
    """Bootstrap with 10 draws: intervals are tested elsewhere."""
    from common.evaluation.bootstrap import replicate

    patch.setattr("simulations.experiment.scoring.replicate", partial(replicate, replicates=10))


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bootstrap with 10 draws where no test reads an interval."""
    draw_anew_a_few_times(monkeypatch)


def draw_no_report(patch: pytest.MonkeyPatch) -> None:
    """Write an empty report: its plots take as long as the training."""
    patch.setattr("simulations.simulate.render", lambda *_: "")


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write an empty report where no test reads it."""
    draw_no_report(monkeypatch)


@pytest.fixture
def make_federation() -> Callable[..., Federation]:
    return _federation


@pytest.fixture
def federation() -> Federation:
    return _federation()


@pytest.fixture
def prior() -> Prior:
    """The graphs of `federation`: two overlapping pathways over the genes."""
    members = membership(GENES, PATHWAYS)
    assert members is not None
    return Prior(
        topology={
            "clinical": topology(3, [(0, 1), (0, 2), (1, 2)]),
            "rna": topology(12, EDGES),
            "protein": topology(3, [(0, 1)]),
            "imaging": topology(4, []),
        },
        membership={"rna": members},
        hierarchy={"rna": topology(2, [(0, 1)])},
    )


def _batch(patients: int = 6, seed: int = 0) -> PatientBatch:
    """Random patients with missing values, missing modalities and missing labels."""
    draw = torch.Generator().manual_seed(seed)
    agreed = _federation()
    values, observed = {}, {}
    for modality in agreed.modalities:
        shape = (patients, len(modality.nodes))
        known = torch.rand(shape, generator=draw) > 0.2
        known &= torch.rand((patients, 1), generator=draw) > 0.2
        values[modality.name] = torch.randn(shape, generator=draw) * known
        observed[modality.name] = known
    time = torch.rand(patients, generator=draw) * 10
    event = (torch.rand(patients, generator=draw) > 0.5).float()
    labels = {
        "survival": torch.stack([time, event], dim=1),
        "response": torch.randint(3, (patients, 1), generator=draw).float(),
        "toxicity": torch.randint(2, (patients, 2), generator=draw).float(),
    }
    labelled = {
        "survival": (torch.rand((patients, 1), generator=draw) > 0.1).expand(-1, 2).clone(),
        "response": torch.rand((patients, 1), generator=draw) > 0.3,
        "toxicity": torch.rand((patients, 2), generator=draw) > 0.3,
    }
    return PatientBatch(values, observed, {n: t * labelled[n] for n, t in labels.items()}, labelled)


@pytest.fixture
def make_batch() -> Callable[..., PatientBatch]:
    return _batch


@pytest.fixture
def cuts() -> dict[str, torch.Tensor]:
    return CUTS


@pytest.fixture
def preprocessing() -> Preprocessing:
    """Leaves values as they are."""
    sizes = {modality.name: len(modality.nodes) for modality in _federation().modalities}
    return Preprocessing(
        {name: torch.zeros(size) for name, size in sizes.items()},
        {name: torch.ones(size) for name, size in sizes.items()},
        CUTS,
    )


SmallCohort = Callable[..., Path]


@pytest.fixture(scope="session")
def written_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hospitals with 30 synthetic patients each, the second without RNA, and a model that trains in no time."""
    from simulations.cohorts.synthetic import write_synthetic

    folder = tmp_path_factory.mktemp("written") / "cohort"
    write_synthetic(
        folder, sites=3, patients=30, genes=16, proteins=4, clinical=4, imaging=4, lacking=0, seed=1
    )
    settings = {"model.node_width": "4", "model.pathway_width": "4", "model.width": "8", "model.heads": "2"}
    settings |= {
        "training.rounds": "2",
        "training.linear_rounds": "0",
        "training.batch_size": "16",
        "training.learning_rate": "0.01",
    }
    save(load(folder / FILE_NAME).changed(settings), folder / FILE_NAME)
    site = folder / "hospital-2" / "site.toml"
    site.write_text(re.sub(r"(?m)^rna = .*\n", "", site.read_text()))
    (folder / "hospital-2" / "rna.csv").unlink()
    return folder


@pytest.fixture(scope="session")
def cohort_in(written_cohort: Path) -> Callable[..., SmallCohort]:
    """Makes a writer of copies of `written_cohort` into a folder, with some of its tasks, settings changed."""

    def writer(parent: Path) -> SmallCohort:
        def write(name: str = "cohort", tasks: Sequence[str] | None = None, **settings: str) -> Path:
            folder = parent / name
            shutil.copytree(written_cohort, folder)
            federation = load(folder / FILE_NAME)
            changed = federation.changed({key.replace("__", "."): value for key, value in settings.items()})
            kept = tuple(task for task in federation.tasks if tasks is None or task.name in tasks)
            save(changed.model_copy(update={"tasks": kept}), folder / FILE_NAME)
            return folder

        return write

    return writer


@pytest.fixture
def small_cohort(cohort_in: Callable[..., SmallCohort], tmp_path: Path) -> SmallCohort:
    """Writes `written_cohort` to a folder of the test's own."""
    return cohort_in(tmp_path)


class Canary:
    """A patient and a measurement that must never be seen outside the hospital."""

    name, value = "CANARY-8371", "98765.4321"

    def plant(self, table: Path, column: str, valid: bool) -> None:
        """Give a site's first patient the name, and one of its cells the value, or the name where it is no value."""
        frame = pd.read_csv(table, dtype=str)
        frame.loc[0, column] = self.value if valid else self.name
        first = str(frame["patient"][0])
        frame.to_csv(table, index=False)
        for path in table.parent.glob("*.csv"):
            path.write_text(path.read_text().replace(f"{first},", f"{self.name},"))

    def seen_in(self, text: str) -> bool:
        """Whether a text holds the name, or the value in any rounding."""
        return any(sign in text for sign in (self.name, "8371", "98765", "98,765", "9.8765", "9.88e"))

    def files_with_it(self, folder: Path) -> list[str]:
        """Names of the files that hold it, be it as text or as a number of 4 or 8 bytes.

        As text the value is not within another number: digits of a share of 81 patients run 0987654320.
        """
        signs = [self.name.encode(), b"98,765"]
        signs += [struct.pack(kind, float(self.value)) for kind in ("<f", "<d", ">f", ">d")]
        value = re.compile(rb"(?<![0-9])98765(?![0-9])")
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert files
        return [
            path.name
            for path in files
            if value.search(content := path.read_bytes()) or any(sign in content for sign in signs)
        ]


@pytest.fixture(scope="session")
def canary() -> Canary:
    return Canary()
