import hashlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from pydantic import BaseModel, ValidationError

from common.agreement.federation import Federation, load, save
from common.agreement.loading import load_agreement
from common.agreement.modalities import Modality, Plausible
from common.agreement.model_config import HierarchicalConfig
from common.agreement.prior_graph import PriorGraph, PublicFile
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Participant, Rounds, Statistics, Training, Wire
from common.errors import (
    InputCode,
    InputError,
    IntegrityError,
    InvalidContentError,
    MissingFileError,
    UnreadableFileError,
)
from common.tasks.survival import SurvivalTask
from tests.attacks.attack_table import AttackRow

Make = Callable[..., Federation]
Leaf = tuple[str | int, ...]


@pytest.fixture
def full(make_federation: Make, tmp_path: Path) -> Federation:
    """A federation with something in every field, its public files in `tmp_path`."""
    for name in ("edges", "pathways", "hierarchy"):
        (tmp_path / f"{name}.csv").write_text(f"a,b\n{name},x\n")
    rna = Modality(
        name="rna",
        node="gene",
        columns=("GENE0", "GENE1"),
        categories={"subtype": ("a", "b")},
        plausible=Plausible(unit="log2", low=-20, high=20, typical=(-2.5, 2.5)),
        ranges={"GENE0": Plausible(unit="counts", low=0, high=1e6, typical=(10.0, 100.0))},
        transform="signed_log",
        clip=(-5.5, 5.5),
    )
    tasks = tuple(
        task.model_copy(update={"typical": (5.5, 50.5)}) if isinstance(task, SurvivalTask) else task
        for task in make_federation().tasks
    )
    return make_federation(
        modalities=(rna,),
        tasks=tasks,
        wire=Wire(update="top-k", share=0.1),
        privacy=Privacy(noise_multiplier=1.5, sampling_rate=0.5, expected_batch_size=20),
        prior=PriorGraph(
            **{n: PublicFile.of(tmp_path, f"{n}.csv") for n in ("edges", "pathways", "hierarchy")}
        ),
        participants=(
            Participant(name="Spital Köniz, Süd", key_fingerprint="ab:cd", patients=120),
            Participant(name="two", patients=80),
        ),
    )


def test_a_saved_file_is_the_same_agreement(full: Federation, tmp_path: Path) -> None:
    save(full, tmp_path / "federation.toml")
    again = load(tmp_path / "federation.toml")
    assert again == full
    assert again.digest == full.digest
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


def test_how_the_file_is_written_does_not_change_the_digest(full: Federation, tmp_path: Path) -> None:
    """Another order of keys, other spellings of numbers and defaults left out are the same agreement."""
    data = full.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    data["modalities"][0]["plausible"] = {
        "typical": [-2.5, 2.5],
        "high": 20,
        "low": -20.0,
        "unit": "log2",
    }
    data["tasks"] = [{"kind": t.kind, **t.model_dump(mode="json", exclude_defaults=True)} for t in full.tasks]
    path = tmp_path / "federation.toml"
    path.write_text("# a comment\n" + tomli_w.dumps(dict(reversed(data.items()))))
    assert load(path).digest == full.digest


def test_a_file_of_patients_has_the_digest_of_the_schema_before_there_were_kinds(full: Federation) -> None:
    earlier = (
        *("version", "name", "minimum_patients", "modalities", "tasks", "prior", "model"),
        *("training", "statistics", "rounds", "wire", "privacy", "participants"),
    )
    data = full.model_dump(mode="json")
    del data["statistics"]["loss_noise"], data["statistics"]["explanations"], data["statistics"]["far"]
    del data["privacy"]["explanations_noise_multiplier"]
    del data["training"]["linear_rounds"], data["training"]["linear_penalty"]
    del data["training"]["calibration_fraction"], data["training"]["test_fraction"]
    for modality in data["modalities"]:
        del modality["strength"], modality["actionable"]
    canonical = json.dumps({name: data[name] for name in earlier}, separators=(",", ":"))
    assert full.digest == hashlib.sha256(canonical.encode()).hexdigest()
    assert set(data) - set(earlier) == {"kind", "plugins", "display_names"}
    assert full.changed({"statistics.loss_noise": "1"}).digest != full.digest


def test_a_file_without_sizes_has_the_digest_of_the_schema_before_there_were_sizes(
    federation: Federation,
) -> None:
    data = federation.data()
    assert [set(participant) for participant in data["participants"]] == [{"name", "key_fingerprint"}] * 2
    assert federation.declared_patients is None
    sized = tuple(each.model_copy(update={"patients": 9}) for each in federation.participants)
    assert federation.model_copy(update={"participants": sized}).digest != federation.digest


def test_declared_sizes(full: Federation) -> None:
    assert full.declared_patients == {"Spital Köniz, Süd": 120, "two": 80}


@pytest.mark.parametrize("kind", ["molecules", "", 3])
def test_an_unknown_kind_of_record_is_refused_with_those_that_are_known(
    full: Federation, tmp_path: Path, kind: object
) -> None:
    path = tmp_path / "federation.toml"
    path.write_text(tomli_w.dumps({**full.model_dump(mode="json", exclude_none=True), "kind": kind}))
    with pytest.raises(InputError) as refused:
        load_agreement(path)
    assert refused.value.where == f"{path}, kind"
    assert "patients" in refused.value.remedy


def leaves(data: Any, path: Leaf = ()) -> Iterator[Leaf]:
    """Every place in nested JSON that holds a plain value."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else None
    if inside is None:
        yield path
        return
    for key, value in inside:
        yield from leaves(value, (*path, key))


def others(value: Any) -> list[Any]:
    """Values to try in place of one, of which the schema allows one at least."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [other for other in (value + 1, value * 2, value // 2, value + 0.01) if other != value]
    if isinstance(value, str):
        return [
            "fedprox",
            "protein",
            "none",
            "days",
            "all",
            "noised",
            "stop",
            "rename",
            f"{value}x",
            "0" * 64,
        ]
    return [1.0, 1, "text"]


def test_any_setting_changes_the_digest(full: Federation) -> None:
    data = full.model_dump(mode="json")
    fixed, same = set(), set()
    for leaf in leaves(data):
        *path, last = leaf
        for value in others(_at(data, leaf)):
            changed = full.model_dump(mode="json")
            _at(changed, tuple(path))[last] = value
            try:
                if Federation.model_validate(changed).digest == full.digest:
                    same.add(leaf)
                break
            except ValidationError:
                continue
        else:
            fixed.add(leaf)
    assert same == set()
    named_elsewhere = ("modalities", 0, "columns", 0)  # in `ranges`
    with_share = ("wire", "update")
    kinds = {("tasks", number, "kind") for number in range(3)}
    assert fixed == {("version",), ("kind",), named_elsewhere, with_share, *kinds}


def _at(data: Any, path: Leaf) -> Any:
    for key in path:
        data = data[key]
    return data


def test_the_order_of_nodes_is_part_of_the_agreement(federation: Federation) -> None:
    """Weights belong to nodes by place: the same digest must mean the same order."""
    digests = {federation.digest}
    modalities = list(federation.modalities)
    for categories in ({"sex": ("f", "m"), "stage": ("1", "2")}, {"stage": ("1", "2"), "sex": ("f", "m")}):
        modalities[0] = modalities[0].model_copy(update={"categories": categories})
        digests.add(federation.model_copy(update={"modalities": tuple(modalities)}).digest)
    digests.add(federation.model_copy(update={"modalities": federation.modalities[::-1]}).digest)
    columns = modalities[1].model_copy(update={"columns": modalities[1].columns[::-1]})
    digests.add(federation.model_copy(update={"modalities": (modalities[0], columns)}).digest)
    assert len(digests) == 5


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("training.rounds", "20", 20),
        ("training.learning_rate", "0.01", 0.01),
        ("training.strategy", "fedyogi", "fedyogi"),
        ("training.learn_task_weights", "false", False),
        ("model.gat_layers", "0", 0),
        ("statistics.minimum_count", "3", 3),
        ("rounds.quorum", "1", 1.0),
        ("rounds.assembly_s", "30", 30.0),
        ("minimum_patients", "7", 7),
    ],
)
def test_a_changed_setting(federation: Federation, setting: str, value: str, expected: object) -> None:
    before = federation.digest
    changed = federation.changed({setting: value})
    found: Any = changed
    for key in setting.split("."):
        found = getattr(found, key)
    assert found == expected
    assert type(found) is type(expected)
    assert changed.digest != before
    assert federation.digest == before


PRIVATE = Privacy(noise_multiplier=2.0, sampling_rate=0.5, expected_batch_size=10)


@pytest.mark.parametrize(
    ("setting", "values"),
    {
        "training.rounds": ("10001",),
        "training.local_epochs": ("101",),
        "training.batch_size": ("100001", "0"),
        "training.learning_rate": ("1.01", "0"),
        "training.weight_decay": ("1.01", "-1"),
        "training.proximal_mu": ("1e5",),
        "training.server_learning_rate": ("1.01",),
        "training.contrastive_weight": ("101",),
        "training.validation_fraction": ("0", "0.5"),
        "statistics.minimum_count": ("0",),
        "statistics.loss_noise": ("1e7", "-1"),
        "privacy.noise_multiplier": ("0.001", "1e7"),
        "privacy.statistics_noise_multiplier": ("0.001", "1e7"),
        "privacy.clip_norm": ("1e-7", "1e7"),
        "privacy.sampling_rate": ("1e-7", "1.1"),
        "privacy.expected_batch_size": ("1e-4", "1e10"),
        "privacy.steps": ("0", "100001"),
        "privacy.learning_rate": ("0", "1e5"),
        "privacy.delta": ("0", "1"),
        "rounds.quorum": ("0", "1.1"),
        "rounds.deadline_s": ("0", "1e9"),
        "rounds.assembly_s": ("1e9",),
        "model.dropout": ("0.95", "1"),
        "model.node_dropout": ("0.95",),
        "model.modality_dropout": ("0.95",),
        "model.width": ("16384",),
        "model.node_width": ("2048",),
        "model.pathway_width": ("2048",),
        "model.fusion_layers": ("65",),
        "model.gat_layers": ("65",),
        "minimum_patients": ("0",),
    }.items(),
)
def test_an_extreme_number_is_refused_by_name(
    federation: Federation, setting: str, values: tuple[str, ...]
) -> None:
    """Numbers by which an honest computation would answer a question about few patients, or never end."""
    agreed = federation.model_copy(update={"privacy": PRIVATE})
    for value in values:
        with pytest.raises(InvalidContentError) as raised:
            agreed.changed({setting: value})
        assert setting in raised.value.where


def every_number(data: Any, path: str = "") -> Iterator[str]:
    """Paths of all numbers of a schema."""
    if isinstance(data, type) and issubclass(data, BaseModel):
        for name, field in data.model_fields.items():
            numeric = field.annotation in (int, float, int | None, float | None)
            ends = {
                kind for kind in ("ge", "gt", "le", "lt") for part in field.metadata if hasattr(part, kind)
            }
            if numeric and not (ends & {"ge", "gt"} and ends & {"le", "lt"}):
                yield f"{path}{name}"


def test_every_number_of_the_file_has_a_lower_and_an_upper_bound() -> None:
    parts = (Federation, Training, Statistics, Privacy, Participant, Rounds, Wire, HierarchicalConfig)
    unbounded = {name for part in (*parts, SurvivalTask) for name in every_number(part, f"{part.__name__}.")}
    assert unbounded == set()


def test_top_k_comes_with_its_share(federation: Federation) -> None:
    changed = federation.changed({"wire.update": "top-k", "wire.share": "0.1"})
    assert changed.wire == Wire(update="top-k", share=0.1)
    for share in ("0", "1", "nan"):
        with pytest.raises(InvalidContentError) as refused:
            federation.changed({"wire.update": "top-k", "wire.share": share})
        assert refused.value.where == "--set, wire.share"


@pytest.mark.parametrize(
    ("setting", "value", "where", "facts"),
    [
        ("privacy.steps", "2", "--set privacy.steps", ("[privacy]", "--epsilon")),
        ("privacy.colour", "2", "--set privacy.colour", ()),
        ("privacy", "2", "--set privacy", ()),
        ("training.epochs", "1", "--set training.epochs", ()),
        ("training", "1", "--set training", ()),
        ("training.rounds.x", "1", "--set training.rounds.x", ()),
        ("tasks.0.bins", "4", "--set tasks.0.bins", ()),
        ("prior.edges", "x", "--set prior.edges", ()),
        ("name", "x", "--set name", ()),
        ("", "1", "--set ", ()),
        ("training.rounds", "many", "--set, training.rounds", ("whole number",)),
        ("training.rounds", "0", "--set, training.rounds", ("1",)),
        ("training.learning_rate", "nan", "--set, training.learning_rate", ()),
        ("training.learning_rate", "inf", "--set, training.learning_rate", ()),
        ("training.strategy", "sgd", "", ("training.strategy", "fedavg", "fedprox")),
        ("rounds.assembly_s", "0", "--set, rounds.assembly_s", ("0",)),
        ("model.width", "7", "--set, model.width", ("heads", "width")),
        ("wire.update", "int4", "--set, wire.update", ("float32", "float16", "int8", "top-k")),
        ("wire.update", "top-k", "--set, wire.share", ("share", "top-k")),
        ("wire.share", "0.1", "--set, wire.share", ("share", "top-k")),
    ],
)
def test_a_setting_that_does_not_fit_is_named(
    federation: Federation, setting: str, value: str, where: str, facts: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as raised:
        federation.changed({setting: value})
    assert raised.value.code in (InputCode.OPTION_INVALID, InputCode.CONTENT_INVALID)
    assert not where or raised.value.where == where
    assert all(fact in str(raised.value) for fact in facts)
    assert "\n" not in str(raised.value)


BAD: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "unknown key": (lambda data: data.update(colour="blue"), "colour"),
    "unknown key within": (lambda data: data["training"].update(epochs=3), "training.epochs"),
    "unknown key of a modality": (lambda data: data["modalities"][0].update(unit="m"), "modalities.0.unit"),
    "two modalities of one name": (
        lambda data: data["modalities"].append(data["modalities"][0]),
        "name",
    ),
    "two tasks of one name": (lambda data: data["tasks"].append(data["tasks"][0]), "name"),
    "two participants of one name": (
        lambda data: data["participants"].append(data["participants"][0]),
        "name",
    ),
    "two participants of one name in two spellings": (
        lambda data: data["participants"].extend([{"name": "Zu\u0308rich"}, {"name": "Z\u00fcrich"}]),
        "name",
    ),
    "a column twice": (
        lambda data: data["modalities"][1]["columns"].append("GENE0"),
        "rna",
    ),
    "a category named as a number": (
        lambda data: data["modalities"][0]["categories"].update(age=["old", "young"]),
        "clinical",
    ),
    "one level": (lambda data: data["modalities"][0]["categories"].update(sex=["f"]), "categories.sex"),
    "a level twice": (
        lambda data: data["modalities"][0]["categories"].update(sex=["f", "f"]),
        "categories.sex",
    ),
    "a class twice": (lambda data: data["tasks"][1].update(classes=["no", "no"]), "classes"),
    "a label twice": (
        lambda data: data["tasks"][2].update(labels=["rash", "rash"]),
        "labels",
    ),
    "no columns": (lambda data: data["modalities"][1].update(columns=[]), "rna"),
    "a range of nothing": (
        lambda data: data["modalities"][1].update(ranges={"GENE99": {}}),
        "GENE99",
    ),
    "an unknown kind of task": (lambda data: data["tasks"][0].update(kind="death"), "tasks.0"),
    "no tasks": (lambda data: data.update(tasks=[]), "tasks"),
    "sizes of some hospitals": (
        lambda data: data["participants"][0].update(patients=20),
        "participants have patients in part",
    ),
    "a hospital of nobody": (
        lambda data: [each.update(patients=0) for each in data["participants"]],
        "participants.0.patients",
    ),
    "nobody": (lambda data: data.update(participants=[]), "participants"),
    "a name that is no identifier": (lambda data: data["tasks"][0].update(name="heads.0"), "tasks.0"),
    "another version": (lambda data: data.update(version=2), "version"),
    "heads that do not divide": (lambda data: data["model"].update(heads=3), "heads"),
    "a public file without a hash": (
        lambda data: data.update(prior={"edges": {"path": "e.csv", "sha256": "none"}}),
        "prior.edges.sha256",
    ),
    "a modality named as the table of outcomes": (
        lambda data: data["modalities"][0].update(name="outcomes"),
        "modalities.0.name",
    ),
    "a task named as a part of the model": (
        lambda data: data["tasks"][0].update(name="values"),
        "values",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_an_agreement_that_does_not_hold_together_is_refused(
    case: str, federation: Federation, tmp_path: Path
) -> None:
    data = federation.model_dump(mode="json", exclude_none=True)
    change, fact = BAD[case]
    change(data)
    path = tmp_path / "federation.toml"
    path.write_text(tomli_w.dumps(data))
    with pytest.raises(InvalidContentError) as raised:
        load(path)
    assert raised.value.where.startswith(f"{path}, ")
    assert fact in str(raised.value)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (None, MissingFileError),
        (b"", InvalidContentError),
        (b"name = ", UnreadableFileError),
        (b"\xff\xfe\x00", UnreadableFileError),
        (b"PK\x03\x04", UnreadableFileError),
        (b"name = 3", InvalidContentError),
    ],
)
def test_a_file_that_is_no_federation_file(
    content: bytes | None, kind: type[InputError], tmp_path: Path
) -> None:
    path = tmp_path / "federation.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(kind) as raised:
        load(path)
    assert raised.value.where.partition(", ")[0] == str(path)
    assert content != b"name = 3" or raised.value.where == f"{path}, line 1, name"


def test_a_folder_is_no_federation_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError) as refused:
        load(tmp_path)
    assert refused.value.where == str(tmp_path)


@pytest.mark.parametrize("name", ["edges", "pathways", "hierarchy"])
def test_a_public_file_must_be_there_and_unaltered(full: Federation, tmp_path: Path, name: str) -> None:
    save(full, tmp_path / "federation.toml")
    file = tmp_path / f"{name}.csv"
    content = file.read_bytes()
    file.write_bytes(content + b"\n")
    with pytest.raises(IntegrityError) as altered:
        load(tmp_path / "federation.toml")
    file.unlink()
    with pytest.raises(MissingFileError) as missing:
        load(tmp_path / "federation.toml")
    assert altered.value.where == missing.value.where == str(file)
    file.write_bytes(content)
    assert load(tmp_path / "federation.toml") == full


OUTSIDE = ("../e.csv", "a/../../e.csv", "/etc/e.csv", "a\\e.csv", "C:e.csv", "", ".", "a//e.csv", "e\0.csv")


@pytest.mark.parametrize("place", OUTSIDE)
def test_a_public_file_is_never_looked_for_elsewhere(
    place: str, federation: Federation, tmp_path: Path
) -> None:
    data = federation.model_dump(mode="json", exclude_none=True)
    data["prior"] = {"edges": {"path": place, "sha256": "0" * 64}}
    path = tmp_path / "federation.toml"
    path.write_text(tomli_w.dumps(data))
    with pytest.raises(InvalidContentError) as raised:
        load(path)
    line = path.read_text().split("\n").index("[prior.edges]") + 2
    assert raised.value.where == f"{path}, line {line}, prior.edges.path"


def test_a_public_file_may_be_in_a_folder_below() -> None:
    assert PublicFile(path="prior/edges..1.csv", sha256="0" * 64).path == "prior/edges..1.csv"


def test_a_public_file_is_known_by_the_hash_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "edges.csv").write_bytes(b"a,b\r\n")
    assert PublicFile.of(tmp_path, "edges.csv").sha256 == hashlib.sha256(b"a,b\r\n").hexdigest()


def test_nodes_are_numbers_then_levels(federation: Federation) -> None:
    assert federation.modality("clinical").nodes == ("age", "sex=f", "sex=m")


def test_label_columns_and_outputs(federation: Federation) -> None:
    assert [(task.columns, task.outputs) for task in federation.tasks] == [
        (("time", "event"), 4),
        (("response",), 3),
        (("rash", "nausea"), 2),
    ]
    assert [task.name for task in federation.tasks if task.moment_columns] == ["survival"]


def test_a_columns_own_range_wins(full: Federation) -> None:
    rna = full.modality("rna")
    assert rna.plausible_for("GENE0").unit == "counts"
    assert rna.plausible_for("GENE1").unit == "log2"


@pytest.mark.parametrize(
    "text", ["north\nWhat leaves: nothing", "\x1b[2Jnorth", "north ", "a\u202eb", "n" * 201]
)
@pytest.mark.parametrize(
    ("place", "leaf"),
    [
        ("participants.name", ("participants", 0, "name")),
        ("participants.key_fingerprint", ("participants", 0, "key_fingerprint")),
        ("modalities.columns", ("modalities", 0, "columns", 1)),
        ("modalities.categories", ("modalities", 0, "categories", "subtype", 0)),
        ("modalities.plausible.unit", ("modalities", 0, "plausible", "unit")),
        ("tasks.event", ("tasks", 0, "event")),
        ("tasks.classes", ("tasks", 1, "classes", 0)),
        ("tasks.labels", ("tasks", 2, "labels", 0)),
    ],
)
def test_every_text_reads_as_it_is(
    full: Federation, tmp_path: Path, text: str, place: str, leaf: Leaf
) -> None:
    data = full.model_dump(mode="json", exclude_none=True)
    _at(data, leaf[:-1])[leaf[-1]] = text
    path = tmp_path / "federation.toml"
    path.write_text(tomli_w.dumps(data))
    if (place, text) == ("participants.name", "north "):  # which is read in its one spelling
        assert load(path).participants[0].name == "north"
        return
    with pytest.raises(InvalidContentError) as raised:
        load(path)
    assert text not in str(raised.value)
    if len(text) <= 120:
        key = raised.value.where.rpartition(", ")[2]
        assert ".".join(part for part in key.split(".") if not part.isdigit()).startswith(place)


def test_neither_does_a_table_name_an_entry_otherwise(full: Federation, tmp_path: Path) -> None:
    data = full.model_dump(mode="json", exclude_none=True)
    data["modalities"][0]["categories"]["a\nb"] = ["1", "2"]
    path = tmp_path / "federation.toml"
    path.write_text(tomli_w.dumps(data))
    with pytest.raises(InvalidContentError) as raised:
        load(path)
    assert "modalities.0.categories" in raised.value.where


def test_an_unknown_key_is_named_without_moving_the_cursor(full: Federation, tmp_path: Path) -> None:
    data = full.model_dump(mode="json", exclude_none=True) | {"\x1b[2J\n": 1}
    path = tmp_path / "federation.toml"
    path.write_text(tomli_w.dumps(data))
    with pytest.raises(InputError) as raised:
        load(path)
    assert str(raised.value).isprintable()
    assert r"\x1b[2J" in str(raised.value)


@pytest.mark.attack
@pytest.mark.parametrize("field", ["noise_multiplier", "statistics_noise_multiplier"])
@pytest.mark.parametrize("noise", [1e-300, 1e-3, 1e7, math.inf, math.nan])
def test_noise_that_cannot_be_accounted_for_is_refused_when_the_file_is_read(
    full: Federation, tmp_path: Path, field: str, noise: float, attack_row: AttackRow
) -> None:
    assert full.privacy is not None
    privacy = full.privacy.model_copy(update={field: noise})
    save(full.model_copy(update={"privacy": privacy}), tmp_path / "federation.toml")
    with pytest.raises(InvalidContentError) as raised:
        load(tmp_path / "federation.toml")
    attack_row(f"{field} = {noise:g}", "refused when read", "refused when read")
    assert raised.value.where.endswith(f"privacy.{field}")
