"""A plug-in is imported only if the federation file names exactly the files that are installed."""

import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from click.testing import CliRunner

from common.agreement import node_kinds
from common.agreement.federation import Federation, save
from common.agreement.loading import load_agreement
from common.agreement.modalities import Modality
from common.agreement.model_config import HierarchicalConfig
from common.errors import InputCode, InputError
from common.models import layer_kinds
from common.plugins import loading, names
from common.plugins.distribution import find_plugin, installed_plugins, plugin_of
from common.plugins.plugin import Plugin
from consilium.command import app
from tests.common.plugins.installed import install

Make = Callable[..., Federation]

SOURCE = "imported = []\n\n\ndef register() -> None:\n    imported.append(1)\n"


@pytest.fixture
def site_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path of imports; what it brings is forgotten afterwards."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    for table in ("_registered", "_roots", "_hashed"):
        monkeypatch.setattr(loading, table, {})
    yield folder
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("mylab", "otherlab"):
            del sys.modules[name]


@pytest.fixture
def mylab(site_packages: Path) -> Plugin:
    install(
        site_packages, "mylab", {"mylab/__init__.py": "", "mylab/kinds.py": SOURCE}, "mylab.kinds:register"
    )
    return plugin_of(find_plugin("mylab"))


def test_a_named_plug_in_registers_once(mylab: Plugin) -> None:
    loading.load_plugins([mylab])
    loading.load_plugins([mylab])
    assert sys.modules["mylab.kinds"].imported == [1]
    assert loading.package_of("mylab.kinds") == "mylab"
    assert loading.package_of("common.agreement") is None


def test_an_installed_plug_in_is_listed_as_a_file_names_it(mylab: Plugin) -> None:
    assert mylab in list(installed_plugins())
    assert (mylab.package, mylab.version) == ("mylab", "1.0")


def test_what_the_installer_and_the_interpreter_add_does_not_count(
    mylab: Plugin, site_packages: Path
) -> None:
    metadata = site_packages / "mylab-1.0.dist-info"
    (metadata / "INSTALLER").write_text("another\n")
    record = (metadata / "RECORD").read_text()
    cached = "mylab/__pycache__/kinds.cpython-311.pyc"
    (site_packages / cached).parent.mkdir()
    (site_packages / cached).write_bytes(b"x")
    (metadata / "RECORD").write_text(f"{record}{cached},,\n")
    assert plugin_of(find_plugin("mylab")) == mylab


def change_a_file(folder: Path) -> None:
    (folder / "mylab" / "kinds.py").write_text(SOURCE + "# changed\n")


def change_the_entry_point(folder: Path) -> None:
    file = folder / "mylab-1.0.dist-info" / "entry_points.txt"
    file.write_text(file.read_text().replace("register", "other"))


def add_a_file(folder: Path) -> None:
    """A folder of a module's name would be imported in its place."""
    (folder / "mylab" / "kinds").mkdir()
    (folder / "mylab" / "kinds" / "__init__.py").write_text("")


def remove_a_file(folder: Path) -> None:
    (folder / "mylab" / "kinds.py").unlink()


def leave_a_file_out_of_the_record(folder: Path) -> None:
    record = folder / "mylab-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text().replace("mylab/kinds.py,,\n", ""))


def install_another_version(folder: Path) -> None:
    remove(folder)
    install(
        folder, "mylab", {"mylab/__init__.py": "", "mylab/kinds.py": SOURCE}, "mylab.kinds:register", "1.1"
    )


def remove(folder: Path) -> None:
    shutil.rmtree(folder / "mylab")
    shutil.rmtree(folder / "mylab-1.0.dist-info")


def install_for_editing(folder: Path) -> None:
    record = folder / "mylab-1.0.dist-info" / "RECORD"
    lines = [line for line in record.read_text().splitlines() if not line.startswith("mylab/")]
    record.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (change_a_file, InputCode.INTEGRITY_BROKEN),
        (change_the_entry_point, InputCode.INTEGRITY_BROKEN),
        (add_a_file, InputCode.INTEGRITY_BROKEN),
        (remove_a_file, InputCode.INTEGRITY_BROKEN),
        (leave_a_file_out_of_the_record, InputCode.INTEGRITY_BROKEN),
        (install_another_version, InputCode.INTEGRITY_BROKEN),
        (install_for_editing, InputCode.INTEGRITY_BROKEN),
        (remove, InputCode.DEPENDENCY_MISSING),
    ],
)
def test_what_differs_is_refused_before_anything_of_it_is_imported(
    mylab: Plugin, site_packages: Path, change: Callable[[Path], None], code: InputCode
) -> None:
    change(site_packages)
    with pytest.raises(InputError) as refused:
        loading.load_plugins([mylab])
    assert refused.value.code is code
    assert refused.value.where == "plug-in mylab"
    assert not [name for name in sys.modules if name.startswith("mylab")]


def test_all_are_verified_before_one_is_imported(mylab: Plugin, site_packages: Path) -> None:
    install(site_packages, "otherlab", {"otherlab.py": ""}, "otherlab")
    other = plugin_of(find_plugin("otherlab"))
    (site_packages / "otherlab.py").write_text("changed = True\n")
    with pytest.raises(InputError):
        loading.load_plugins([mylab, other])
    assert not [name for name in sys.modules if name.startswith("mylab")]


def test_a_change_after_the_import_needs_a_new_process(mylab: Plugin, site_packages: Path) -> None:
    loading.load_plugins([mylab])
    change_a_file(site_packages)
    with pytest.raises(InputError) as refused:
        loading.load_plugins([plugin_of(find_plugin("mylab"))])
    assert refused.value.remedy == "start again"


def test_a_module_that_hides_the_plug_in_is_refused(
    mylab: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "mylab").mkdir(parents=True)
    (elsewhere / "mylab" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(elsewhere)
    with pytest.raises(InputError) as refused:
        loading.load_plugins([mylab])
    assert refused.value.code is InputCode.INTEGRITY_BROKEN
    assert not [name for name in sys.modules if name.startswith("mylab")]


def test_a_package_without_a_plug_in_is_refused(site_packages: Path) -> None:
    numpy = Plugin(package="numpy", version="1", sha256="0" * 64)
    with pytest.raises(InputError) as refused:
        loading.load_plugins([numpy])
    assert refused.value.code is InputCode.DEPENDENCY_MISSING


def test_a_federation_file_loads_the_plug_ins_that_it_names(
    mylab: Plugin, make_federation: Make, tmp_path: Path
) -> None:
    save(make_federation(plugins=(mylab,)), tmp_path / "federation.toml")
    assert load_agreement(tmp_path / "federation.toml").plugins == (mylab,)
    assert "mylab.kinds" in sys.modules


def test_a_federation_file_with_a_changed_plug_in_is_refused(
    mylab: Plugin, make_federation: Make, tmp_path: Path, site_packages: Path
) -> None:
    save(make_federation(plugins=(mylab,)), tmp_path / "federation.toml")
    change_a_file(site_packages)
    with pytest.raises(InputError):
        load_agreement(tmp_path / "federation.toml")
    assert "mylab.kinds" not in sys.modules


def test_plug_ins_are_part_of_the_digest(mylab: Plugin, make_federation: Make) -> None:
    other = mylab.model_copy(update={"sha256": "0" * 64})
    digests = {make_federation(plugins=plugins).digest for plugins in ((), (mylab,), (other,))}
    assert len(digests) == 3


def test_the_command_prints_what_a_federation_file_takes(mylab: Plugin) -> None:
    ended = CliRunner().invoke(typer.main.get_command(app), ["plugins"])
    lines = tomllib.loads(ended.stdout)["plugins"]
    assert mylab.model_dump() in lines


LAYER = """
from common.agreement.node_kinds import NodeKind, register_node_kind
from common.models.layer_kinds import register_layer
from common.models.layers import GCN


def register() -> None:
    register_node_kind(NodeKind("cpg"))
    register_layer("mylab_gcn", lambda graph, width_in, width_out, heads: GCN(graph, width_in, width_out))
"""


@pytest.fixture
def layerlab(site_packages: Path, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    """A plug-in that brings a layer and a kind of nodes."""
    monkeypatch.setattr(node_kinds, "_KINDS", dict(node_kinds._KINDS))
    monkeypatch.setattr(layer_kinds, "_LAYERS", dict(layer_kinds._LAYERS))
    monkeypatch.setattr(names, "_packages", {})
    install(site_packages, "mylab", {"mylab/__init__.py": LAYER}, "mylab:register")
    return plugin_of(find_plugin("mylab"))


def with_layer(federation: Federation) -> Federation:
    return federation.model_copy(update={"model": HierarchicalConfig(layers=("gcn", "mylab_gcn"))})


def with_node_kind(federation: Federation) -> Federation:
    first, *rest = federation.modalities
    changed = Modality.model_validate({**first.model_dump(), "node": "cpg"})
    return federation.model_copy(update={"modalities": (changed, *rest)})


@pytest.mark.parametrize(
    ("changed", "part"), [(with_layer, "layer mylab_gcn"), (with_node_kind, "node kind cpg")]
)
def test_a_name_of_a_plug_in_needs_the_plug_in_to_be_named(
    layerlab: Plugin,
    make_federation: Make,
    tmp_path: Path,
    changed: Callable[[Federation], Federation],
    part: str,
) -> None:
    loading.load_plugins([layerlab])
    save(changed(make_federation(plugins=(layerlab,))), tmp_path / "named.toml")
    assert load_agreement(tmp_path / "named.toml").plugins == (layerlab,)
    save(changed(make_federation()), tmp_path / "unnamed.toml")
    with pytest.raises(InputError) as refused:
        load_agreement(tmp_path / "unnamed.toml")
    assert refused.value.code is InputCode.CONTENT_INVALID
    assert part in refused.value.what


def test_names_of_the_product_need_no_plug_in(
    layerlab: Plugin, make_federation: Make, tmp_path: Path
) -> None:
    loading.load_plugins([layerlab])
    save(make_federation(model=HierarchicalConfig(layers=("gat",))), tmp_path / "federation.toml")
    assert not load_agreement(tmp_path / "federation.toml").plugins
