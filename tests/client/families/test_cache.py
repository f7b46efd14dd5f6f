"""A site opened from its cache is the site built from its tables, to the bit; a cache with a fault is not used."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from client.commands.check import check
from client.data.packing import pack_site, unpack_site
from client.families.cache import CacheFault, file_name
from client.rounds.assembly import SharedAgreement, SiteSources, assemble_site
from client.rounds.site import Site
from client.site_folder.places import Approval, Home
from client.site_folder.site_file import SiteFile
from client.site_folder.site_key import NO_SECRET
from common.agreement.federation import FILE_NAME, Federation
from common.agreement.federation import save as save_federation
from common.agreement.prior_graph import PriorGraph, PublicFile
from common.errors import InvalidContentError, MissingFileError
from common.files import write_whole
from common.models.graphs import Prior, Topology, load_prior
from common.patients.batch import PatientBatch
from tests.client.held import cohort_of
from tests.client.logged import codes

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

READ_CSV = pd.read_csv
FILES = {
    "edges": "a,b\nG1,G2\n",
    "pathways": "pathway,gene\nalpha,G1\nbeta,G1\nbeta,G2\n",
    "hierarchy": "parent,child\nalpha,beta\n",
}


@pytest.fixture
def home(hospital: "Hospital") -> Home:
    """A site that was started once, its agreement with graphs of every kind."""
    home = Home(hospital.folder)
    folder = home.agreement.parent
    folder.mkdir()
    for name, text in FILES.items():
        (folder / f"{name}.csv").write_text(text)
    prior = PriorGraph(**{name: PublicFile.of(folder, f"{name}.csv") for name in FILES})
    save_federation(hospital.federation.model_copy(update={"prior": prior}), folder / FILE_NAME)
    home.state.mkdir(mode=0o700)
    return home


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The site's key, which has tests of its own, is neither made nor checked here."""
    monkeypatch.setattr("client.rounds.assembly.read_or_make_key", lambda folder: NO_SECRET)


def opened(home: Home) -> Site:
    return assembled(home, home.cache)


def assembled(home: Home, cache: Path | None = None) -> Site:
    """The site as a new process would assemble it."""
    sources = SiteSources(home.folder, home.agreement, cache)
    return assemble_site(sources, SharedAgreement(home.agreement))


def uncached(home: Home) -> Site:
    """The site as a process without a cache would assemble it, by an uncounted reading of its tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pd, "read_csv", READ_CSV)
        return assembled(home)


def kept(home: Home) -> list[Path]:
    return sorted(home.cache.iterdir()) if home.cache.exists() else []


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of readings of tables for a site with a cache; a comparison without cache is not counted."""
    times = [0]

    def reading(file: Path | BytesIO, **how: Any) -> Any:
        times[0] += isinstance(file, BytesIO) and b"died" in file.getvalue()
        return READ_CSV(file, **how)

    monkeypatch.setattr(pd, "read_csv", reading)
    return times


def everything(site: Site, prior: Prior) -> dict[str, Tensor]:
    """All tensors of a site, by name."""
    found = {f"weight {name}": tensor for name, tensor in site.model.state_dict().items()}
    found |= {f"buffer {name}": tensor for name, tensor in site.model.named_buffers()}
    found["fold"] = site.cohort.fold
    for field in fields(PatientBatch):
        parts = getattr(cohort_of(site).batch, field.name)
        found |= {f"{field.name} {name}": tensor for name, tensor in parts.items()}
    for kind in (prior.topology, prior.hierarchy):
        for name, graph in kind.items():
            found |= {
                f"{id(kind)} {name} {part.name}": getattr(graph, part.name) for part in fields(Topology)
            }
    for name, members in prior.membership.items():
        for kind_ in ("matrix", "transposed"):
            matrix = getattr(members, kind_)
            parts = (matrix.crow_indices(), matrix.col_indices(), matrix.values())
            found |= {f"members {name} {kind_} {place}": part for place, part in enumerate(parts)}
    return found


def same(first: Site, second: Site) -> bool:
    """Whether two sites are equal to the bit: types, shapes, gaps, values."""
    ours, theirs = (everything(site, Prior({}, {}, {})) for site in (first, second))
    return list(ours) == list(theirs) and all(
        own.dtype == theirs[name].dtype
        and own.layout == theirs[name].layout
        and (own.to_dense() if own.layout != torch.strided else own).equal(
            theirs[name].to_dense() if own.layout != torch.strided else theirs[name]
        )
        for name, own in ours.items()
    )


def test_a_site_from_its_cache_is_the_site_that_was_built(home: Home, counted: list[int]) -> None:
    without = uncached(home)
    built, again = opened(home), opened(home)
    assert counted == [1]
    assert same(without, built)
    assert same(built, again)
    assert cohort_of(built).unmatched == cohort_of(again).unmatched == cohort_of(without).unmatched
    assert (again.cohort.site, again.absent) == ("north", without.absent)
    assert len(cohort_of(again).group) == len(cohort_of(again).batch)


def test_graphs_come_back_as_they_were(home: Home) -> None:
    site = opened(home)
    file, federation = SiteFile(name="north", tables={}), site.federation
    assert isinstance(federation, Federation)
    prior = load_prior(federation, home.agreement.parent)
    assert set(prior.membership) == {"rna"}
    kept = save(pack_site(prior, cohort_of(site)))
    back, _ = unpack_site(load(kept), file, federation)
    ours, theirs = (list(everything(site, each).values()) for each in (prior, back))
    assert len(ours) == len(theirs)
    for own, other in zip(ours, theirs, strict=True):
        assert own.dtype == other.dtype
        if own.layout == torch.strided:
            assert own.equal(other)
    assert back.membership["rna"].pathways == prior.membership["rna"].pathways


def test_what_is_kept_belongs_to_this_user_alone(home: Home) -> None:
    opened(home)
    (file,) = kept(home)
    assert (file.stat().st_mode & 0o777, home.cache.stat().st_mode & 0o777) == (0o600, 0o700)
    assert file.suffix == ".safetensors"


def test_no_identifier_and_no_subgroup_is_kept(home: Home, hospital: "Hospital") -> None:
    hospital.site.outcomes["ward"] = "CANARYLEVEL"
    hospital.site.site["group"] = "ward"
    hospital.write()
    opened(home)
    content = b"".join(path.read_bytes() for path in kept(home))
    assert content
    names = (*hospital.site.outcomes["patient"], "CANARYLEVEL")
    wanted = [name for name in names if len(name) > 3]  # `p1` is found by chance in what are numbers
    assert "CANARY-8371" in wanted
    assert not [name for name in wanted if name.encode() in content]
    metadata = bytes(load(content)["metadata"].numpy()).decode()
    assert set(json.loads(metadata)) == {"unmatched", "pathways"}
    assert not [name for name in names if f'"{name}"' in metadata]


def edited_in_place(path: Path, before: bytes, after: bytes) -> None:
    """Change a file as an editor could that puts its time back: same size, same times, same inode."""
    times, content = path.stat(), path.read_bytes()
    assert len(before) == len(after)
    assert content.count(before) == 1
    with path.open("r+b") as file:
        file.seek(content.index(before))
        file.write(after)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    now = path.stat()
    assert (now.st_size, now.st_mtime_ns, now.st_ino) == (times.st_size, times.st_mtime_ns, times.st_ino)


def test_a_table_that_was_edited_in_place_gives_no_stale_patients(home: Home, counted: list[int]) -> None:
    before = cohort_of(opened(home)).batch.values["clinical"][0, 0]
    edited_in_place(home.folder / "clinical.csv", b"CANARY-8371,50.0", b"CANARY-8371,77.0")
    after = opened(home)
    assert (float(before), float(cohort_of(after).batch.values["clinical"][0, 0])) == (50.0, 77.0)
    assert counted == [2]
    assert same(after, uncached(home))


@pytest.mark.parametrize("changed", ["rna.parquet", "site.toml", "agreement/edges.csv", "version"])
def test_whatever_a_site_is_built_from_counts(
    home: Home,
    hospital: "Hospital",
    counted: list[int],
    changed: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    opened(home)
    (old,) = kept(home)
    if changed == "rna.parquet":
        hospital.site.rna.loc[0, "G1"] += 1
        hospital.site.rna.to_parquet(home.folder / changed, index=False)
    elif changed == "site.toml":
        text = (home.folder / changed).read_text()
        (home.folder / changed).write_text(text.replace("[policy]", "[policy]\ndelta = 1e-4"))
    elif changed == "version":
        newer = tmp_path_factory.mktemp("packages")
        (newer / "numpy-9.9.9.dist-info").mkdir()
        (newer / "numpy-9.9.9.dist-info" / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: numpy\nVersion: 9.9.9\n"
        )
        monkeypatch.syspath_prepend(newer)
    else:
        (home.folder / changed).write_text("a,b\nG1,G1\n")
        prior = PriorGraph(edges=PublicFile.of(home.agreement.parent, "edges.csv"))
        save_federation(hospital.federation.model_copy(update={"prior": prior}), home.agreement)
    assert same(opened(home), uncached(home))
    assert counted == [2]
    (new,) = kept(home)  # and the old one is gone
    assert new != old


def spoil_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def make_foreign(path: Path) -> None:
    """A sound file of something else, under a name that fits it."""
    content = save({"metadata": torch.frombuffer(bytearray(b"{}"), dtype=torch.uint8)})
    key = path.name.partition(".")[0]
    path.unlink()
    other = path.with_name(file_name(key, content))
    other.write_bytes(content)
    other.chmod(0o600)


def make_a_link(path: Path) -> None:
    elsewhere = path.parents[2] / "elsewhere"
    shutil.copy(path, elsewhere)
    path.unlink()
    path.symlink_to(elsewhere)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-7]),
        spoil_a_bit,
        make_foreign,
        make_a_link,
        lambda path: path.chmod(0o640),
        lambda path: path.chmod(0o602),
    ],
    ids=["empty", "truncated", "a bit", "foreign", "link", "readable", "writable"],
)
def test_a_cache_that_is_not_as_it_was_kept_is_built_anew(
    home: Home, counted: list[int], spoil: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    opened(home)
    spoil(kept(home)[0])
    assert same(opened(home), uncached(home))
    assert counted == [2]
    assert codes(caplog) in ([CacheFault.SPOILT], [CacheFault.UNREADABLE], [CacheFault.FILE_EXPOSED])
    assert "CANARY" not in caplog.text
    opened(home)
    assert counted == [2]
    assert len(kept(home)) == 1


@pytest.mark.parametrize(("place", "mode"), [("cache", 0o770), ("cache", 0o707), ("state", 0o770)])
def test_a_place_that_others_can_get_at_is_not_used(
    home: Home, counted: list[int], place: str, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    opened(home)
    (file,) = kept(home)
    before = file.read_bytes()
    {"cache": home.cache, "state": home.state}[place].chmod(mode)
    assert same(opened(home), uncached(home))
    assert counted == [2]
    assert codes(caplog) == [CacheFault.FOLDER_EXPOSED]
    assert file.read_bytes() == before


def test_another_users_folder_is_not_used(
    home: Home, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(home)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    opened(home)
    assert counted == [2]


def test_a_link_in_place_of_the_folder_is_not_followed(home: Home, counted: list[int]) -> None:
    elsewhere = home.folder / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    home.cache.symlink_to(elsewhere)
    opened(home)
    assert not list(elsewhere.iterdir())


def test_a_site_that_was_never_started_keeps_nothing(home: Home) -> None:
    home.state.rmdir()
    opened(home)
    assert not home.state.exists()


def test_a_full_disk_is_no_reason_not_to_train(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device: CANARY-8371")

    monkeypatch.setattr(os, "fsync", full)
    assert same(opened(home), uncached(home))
    assert codes(caplog) == [CacheFault.NOT_WRITTEN]
    assert kept(home) == []
    assert "CANARY" not in caplog.text


def test_tables_that_change_while_they_are_read_are_not_kept(
    home: Home, hospital: "Hospital", monkeypatch: pytest.MonkeyPatch
) -> None:
    def reading(file: Path | BytesIO, **how: Any) -> Any:
        frame = READ_CSV(file, **how)
        if isinstance(file, BytesIO) and b"crp" in file.getvalue():
            edited_in_place(home.folder / "clinical.csv", b"CANARY-8371,50.0", b"CANARY-8371,77.0")
        return frame

    with monkeypatch.context() as patch:
        patch.setattr(pd, "read_csv", reading)
        opened(home)
    assert kept(home) == []
    assert float(cohort_of(opened(home)).batch.values["clinical"][0, 0]) == 77.0


def test_tables_that_do_not_fit_are_refused_as_ever(home: Home) -> None:
    opened(home)
    text = (home.folder / "clinical.csv").read_text()
    (home.folder / "clinical.csv").write_text(text.replace("50.0", "500.0"))
    with pytest.raises(InvalidContentError) as unfit:
        opened(home)
    assert "clinical.csv, column age" in unfit.value.where
    (home.folder / "clinical.csv").unlink()
    with pytest.raises(MissingFileError) as missing:
        opened(home)
    assert "clinical.csv" in missing.value.where


def test_what_a_killed_process_left_is_removed(home: Home) -> None:
    home.cache.mkdir(mode=0o700)
    (home.cache / ".half.123.tmp").write_bytes(b"half")
    opened(home)
    assert [path.suffix for path in kept(home)] == [".safetensors"]


def test_a_check_reads_the_tables_themselves(home: Home) -> None:
    site = opened(home)
    approval = Approval(
        federation=site.federation.digest, version="0", at="2026", weights={}, groups={}, linear=()
    )
    write_whole(home.approval, approval.model_dump_json().encode())
    before = kept(home)
    for path in before:
        path.write_bytes(b"spoilt")
    assert check(home)["patients"] == 12
    frame = pd.read_csv(home.folder / "outcomes.csv").iloc[1:]
    frame.to_csv(home.folder / "outcomes.csv", index=False)
    assert check(home)["patients"] == 11
    assert [path.read_bytes() for path in kept(home)] == [b"spoilt"] * len(before)


def test_a_site_that_was_kept_is_opened_without_the_reader_of_tables(home: Home) -> None:
    opened(home)
    program = (
        "import sys; from pathlib import Path;"
        "import client.rounds.assembly as assembly;"
        "assembly.read_or_make_key = lambda folder: assembly.NO_SECRET;"
        "from client.rounds.assembly import SharedAgreement, SiteSources, assemble_site;"
        "sources = SiteSources(*map(Path, sys.argv[1:]));"
        "assemble_site(sources, SharedAgreement(sources.agreement));"
        "print(sorted({'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(home.folder), str(home.agreement), str(home.cache)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
