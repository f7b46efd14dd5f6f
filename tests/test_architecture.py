"""Rules of imports between packages, rooms and files, and of what no file may do."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from docs.rooms import FLOORS, FLOORS_WITHIN, MAY_IMPORT, ROOT, SOURCES, dotted, floors, imported, tree

CALLS_THE_FACE = "simulations/commands/simulate.py"
"""The one file below the face that calls it: the command line takes the same way as a program."""


def calls(path: Path) -> Iterator[str]:
    """Dotted names of what a file calls, such as `torch.load`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_packages_import_only_what_they_may(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    ours = {module for module in imported(path) if module.partition(".")[0] in MAY_IMPORT}
    allowed = MAY_IMPORT[package] | ({"consilium"} if name(path) == CALLS_THE_FACE else set())
    forbidden = {module for module in ours if module.partition(".")[0] not in allowed}
    assert not forbidden


def test_only_the_command_line_calls_the_face() -> None:
    below = [path for path in SOURCES if path.relative_to(ROOT).parts[0] != "consilium"]
    callers = {name(path) for path in below if "consilium" in {m.partition(".")[0] for m in imported(path)}}
    assert callers == {CALLS_THE_FACE}


@pytest.mark.parametrize("package", [*FLOORS, *FLOORS_WITHIN])
def test_every_room_has_a_floor_and_imports_only_rooms_below_it(package: str) -> None:
    floor_of = {room: number for number, rooms in enumerate(floors(package)) for room in rooms}
    upward = []
    for path in (path for path in SOURCES if dotted(path).startswith(f"{package}.")):
        room = dotted(path).removeprefix(f"{package}.").partition(".")[0]
        for module in imported(path):
            inside = module.startswith(f"{package}.")
            other = module.removeprefix(f"{package}.").partition(".")[0] if inside else room
            if other != room and floor_of[other] <= floor_of[room]:
                upward.append((name(path), module))
    assert not upward


def test_no_two_files_import_each_other_in_a_circle() -> None:
    modules = {dotted(path): path for path in SOURCES if path.name != "__init__.py"}
    graph = {module: set(imported(path)) & modules.keys() - {module} for module, path in modules.items()}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_file_reads_a_format_that_can_carry_code(path: Path) -> None:
    modules = {module.partition(".")[0] for module in imported(path)}
    assert not modules & {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    loads = {call for call in calls(path) if call in {"torch.load", "read_pickle", "pd.read_pickle"}}
    assert not loads
    assert "allow_pickle=True" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_are_typed_and_documented(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    for folder in {path.parent for path in (ROOT / package).rglob("*.py")}:
        assert ast.get_docstring(tree(folder / "__init__.py"))


def test_every_room_names_an_existing_file_to_read_first() -> None:
    for path in (path for path in SOURCES if path.name == "__init__.py"):
        sentence, _, hint = (
            (ast.get_docstring(tree(path)) or "").partition("\n")[0].partition("; start with ")
        )
        assert sentence
        assert (path.parent / hint.partition(",")[0].rstrip(".")).is_file(), name(path)


def test_only_one_module_knows_the_internals_of_the_simulated_platform() -> None:
    public = ("flwr.app", "flwr.serverapp", "flwr.clientapp")
    for path in SOURCES:
        if path.relative_to(ROOT).parts[0] != "simulations" or path.name == "flower_internals.py":
            continue
        for module in imported(path):
            assert not module.startswith("flwr.") or module.startswith(public), name(path)


MODEL_ROOM = ROOT / "common" / "models"
PARTS_OF_A_MODEL = {"branches", "heads", "predictor", "scores", "log_variance", "direct", "additive"}
"""Parts of the hierarchical network, which nothing outside the room of models may reach for."""


def reached_parts(path: Path) -> Iterator[str]:
    """Parts of a model that a file takes from an object called model, or reads from a parameter's dotted name."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and node.attr in PARTS_OF_A_MODEL:
            if ast.unparse(node.value).rpartition(".")[2] in {"model", "network"}:
                yield ast.unparse(node)
        elif isinstance(node, ast.Attribute) and node.attr == "get_submodule":
            yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts = node.value.split(".")
            if len(parts) > 1 and PARTS_OF_A_MODEL & set(parts) and " " not in node.value:
                yield node.value


@pytest.mark.parametrize("path", [path for path in SOURCES if MODEL_ROOM not in path.parents], ids=name)
def test_no_file_outside_the_room_of_models_knows_the_parts_of_a_model(path: Path) -> None:
    assert not list(reached_parts(path))
    network = {"common.models.hierarchical", "common.models.branch"} & set(imported(path))
    assert not network or path.name == "pyg.py", "the same network in PyG, held against ours"


OF_PATIENTS = (
    *("common.patients", "common.tasks", "common.agreement.federation", "common.agreement.modalities"),
    *("common.families.patients", "common.families.patient_loss", "client.data", "client.families.patients"),
    *(
        "common.models.federated",
        "common.models.graphs",
        "common.models.hierarchical",
        "common.models.registry",
    ),
)
"""Modules that know records as patients with modalities and tasks."""
KNOW_PATIENTS = (
    *(
        "common/documents/facts/inputs.py",
        "common/documents/facts/structure.py",
        "common/baseline/",
        "common/calibration/",
        "common/explanation/",
        "common/structure/",
        "common/export/",
        "common/intervals/",
        "common/patients/",
        "common/validation/",
        "common/tasks/",
        "common/models/",
        "common/families/patient",
        "client/data/",
    ),
    *(
        "client/families/patients.py",
        "client/prediction/patients/",
        "client/prediction/similar.py",
        "client/prediction/judging.py",
        "common/assessment/patient_view.py",
        "client/families/noised_statistics.py",
        "client/profile/profile.py",
        "common/agreement/federation.py",
    ),
    "common/privacy/planning.py",
)
"""Files that may import them: the family of patients and what it is made of."""


NEUTRAL = [
    path
    for path in SOURCES
    if name(path).startswith(("common/", "client/", "server/", "simulations/engines/"))
    and not name(path).startswith(KNOW_PATIENTS)
]


@pytest.mark.parametrize("path", NEUTRAL, ids=name)
def test_only_the_family_of_patients_knows_that_records_are_patients(path: Path) -> None:
    bound = tuple(f"{module}." for module in OF_PATIENTS)
    assert not [module for module in imported(path) if f"{module}.".startswith(bound)]
