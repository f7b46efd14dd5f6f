import hashlib
import io
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w
from flwr.cli.build import build_fab_from_disk

from common.agreement.bundle import RUN, bundle_files, bundle_hash, digest_in, write_bundle
from common.agreement.federation import Federation
from common.agreement.settings import Training

pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern")


def built(folder: Path) -> bytes:
    return build_fab_from_disk(folder)


def test_the_hash_is_that_of_the_bundle_flower_builds_whatever_the_folder(
    federation: Federation, tmp_path: Path
) -> None:
    for name in ("here", "there"):
        write_bundle(tmp_path / name, federation)
        assert hashlib.sha256(built(tmp_path / name)).hexdigest() == bundle_hash(federation)


def test_the_bundle_is_stored_without_compression_so_that_no_machine_packs_it_differently(
    federation: Federation, tmp_path: Path
) -> None:
    write_bundle(tmp_path, federation)
    with zipfile.ZipFile(io.BytesIO(built(tmp_path))) as bundle:
        assert {each.compress_type for each in bundle.infolist()} == {zipfile.ZIP_STORED}
        assert len({each.date_time for each in bundle.infolist()}) == 1


def test_the_bundle_carries_no_code_and_names_installed_apps(federation: Federation, tmp_path: Path) -> None:
    write_bundle(tmp_path, federation)
    with zipfile.ZipFile(io.BytesIO(built(tmp_path))) as bundle:
        assert sorted(bundle.namelist()) == [".info/CONTENT", "README.md", "pyproject.toml"]
        assert federation.digest in bundle.read("README.md").decode()
        assert 'clientapp = "client.app:app"' in bundle.read("pyproject.toml").decode()


def test_a_bundle_with_anything_else_in_it_has_another_hash(federation: Federation, tmp_path: Path) -> None:
    write_bundle(tmp_path, federation)
    (tmp_path / "client.py").write_text("app = None\n")
    assert hashlib.sha256(built(tmp_path)).hexdigest() == bundle_hash(federation)  # Flower leaves it out
    descriptor = tmp_path / "pyproject.toml"
    descriptor.write_text(descriptor.read_text().replace('"README.md"', '"README.md", "client.py"'))
    with zipfile.ZipFile(io.BytesIO(built(tmp_path))) as bundle:
        assert "client.py" in bundle.namelist()
    assert hashlib.sha256(built(tmp_path)).hexdigest() != bundle_hash(federation)


def test_another_agreement_or_version_has_another_hash(
    make_federation: Callable[..., Federation], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = make_federation(), make_federation(training=Training(rounds=9))
    assert bundle_hash(one) != bundle_hash(other)
    before = bundle_hash(one)
    monkeypatch.setattr("common.agreement.bundle.version", lambda package: "9.9.9")
    assert bundle_hash(one) != before


def test_a_run_sets_nothing_but_its_name(federation: Federation) -> None:
    descriptor = tomllib.loads(bundle_files(federation)["pyproject.toml"].decode())
    assert descriptor["tool"]["flwr"]["app"]["config"] == {RUN: ""}


def test_nothing_is_written_over(federation: Federation, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(tomli_w.dumps({"mine": True}))
    with pytest.raises(FileExistsError):
        write_bundle(tmp_path, federation)
    assert set(bundle_files(federation)) == {"pyproject.toml", "README.md"}


def test_a_bundle_tells_whose_it_is_only_if_all_of_it_is_ours(federation: Federation, tmp_path: Path) -> None:
    write_bundle(tmp_path / "ours", federation)
    bundle = built(tmp_path / "ours")
    assert digest_in(bundle) == federation.digest
    assert digest_in(bundle + b" ") is None
    assert digest_in(bundle.replace(b"carries no code", b"carries no core")) is None
    assert digest_in(b"\nfederation " + b"0" * 64 + b"\n") is None
    assert digest_in(b"") is None
