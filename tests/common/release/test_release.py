"""A release is what its coordinator signed, whole, and nothing else is read as one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from common.agreement.federation import Federation
from common.errors import InputError, IntegrityError, InvalidContentError, MissingFileError
from common.release.archive import packed, unpacked
from common.release.calibration_table import CalibrationTable, OutcomeCalibration
from common.release.interval_table import IntervalTable, OutcomeIntervals
from common.release.manifest import Parent
from common.release.members import (
    CALIBRATION,
    CARD,
    FEDERATION,
    INTERVALS,
    MANIFEST,
    PREPROCESSING,
    SIGNATURE,
    WEIGHTS,
)
from common.release.release import read_release
from common.release.signing import signature_of
from common.release.stamp import stamp_of, stamped
from tests.released import Coordinator


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Coordinator:
    from tests.conftest import _federation

    return Coordinator(tmp_path_factory.mktemp("coordinator"), _federation())


Refused = Callable[[bytes], InputError]


@pytest.fixture
def refused(coordinator: Coordinator, tmp_path: Path) -> Refused:
    """The error by which a file of this content is refused."""

    def error_of(content: bytes) -> InputError:
        (tmp_path / "file.zip").write_bytes(content)
        with pytest.raises(InputError) as error:
            read_release(tmp_path / "file.zip", coordinator.key.public_key())
        return error.value

    return error_of


def test_a_release_is_read_with_all_that_was_signed(coordinator: Coordinator) -> None:
    parent = Parent(version="test-1", sha256="a" * 64)
    release = read_release(coordinator.write("test-2", parent, ("test-1",)), coordinator.key.public_key())
    assert (release.version, release.manifest.parent, release.manifest.revoked) == (
        "test-2",
        parent,
        ("test-1",),
    )
    assert (release.manifest.name, release.manifest.number) == ("test", 2)
    assert release.agreement == coordinator.federation
    stamp = {"version": "test-2", "federation": coordinator.federation.digest}
    assert stamp_of(release.members[WEIGHTS]) == stamp_of(release.members[PREPROCESSING]) == stamp
    assert release.signer is not None
    assert "test-2" in release.lines()[0]
    with release.agreement_folder() as folder:
        assert (folder / "federation.toml").read_bytes() == release.members[FEDERATION]
    assert not folder.exists()


def test_the_same_release_has_the_same_bytes(coordinator: Coordinator) -> None:
    assert coordinator.made()[1] == coordinator.made()[1]
    assert coordinator.made()[1] != coordinator.made(seed=1)[1]


def test_every_changed_byte_is_refused(coordinator: Coordinator, refused: Refused) -> None:
    content = coordinator.made()[1]
    size = len(packed({name: unpacked(content)[name] for name in (MANIFEST, SIGNATURE)}))
    for index in [*range(0, size, 5), *range(size, len(content), 211)]:
        changed = bytearray(content)
        changed[index] ^= 4
        assert isinstance(refused(bytes(changed)), IntegrityError)
    assert isinstance(refused(content[:-1]), IntegrityError)
    assert isinstance(refused(content + b"\n"), IntegrityError)


def test_a_changed_or_swapped_member_in_a_sound_archive_is_refused_by_name(
    coordinator: Coordinator, refused: Refused
) -> None:
    first, second = (unpacked(coordinator.made(seed=seed)[1]) for seed in (0, 1))
    for name in (WEIGHTS, CARD, FEDERATION):
        changed = second[WEIGHTS] if name == WEIGHTS else first[name] + b"\n"
        error = refused(packed(first | {name: changed}))
        assert isinstance(error, IntegrityError)
        assert name in error.where
    exchanged = {**first, WEIGHTS: first[PREPROCESSING], PREPROCESSING: first[WEIGHTS]}
    assert WEIGHTS in refused(packed(exchanged)).where
    assert isinstance(refused(packed(dict(reversed(first.items())))), IntegrityError)
    assert isinstance(refused(packed({name: first[name] for name in first if name != CARD})), IntegrityError)
    assert isinstance(refused(packed({**first, "more.json": b"{}"})), IntegrityError)
    assert isinstance(refused(packed({**first, MANIFEST: second[MANIFEST]})), IntegrityError)


def test_only_the_key_that_is_trusted_signs(coordinator: Coordinator, refused: Refused) -> None:
    members = unpacked(coordinator.made()[1])
    stranger = ec.generate_private_key(ec.SECP384R1())
    signed = members | {SIGNATURE: signature_of(members[MANIFEST], stranger)}
    assert isinstance(refused(packed(signed)), IntegrityError)
    assert isinstance(refused(packed(members | {SIGNATURE: b""})), IntegrityError)


def test_without_a_key_a_damaged_member_is_still_refused(coordinator: Coordinator, tmp_path: Path) -> None:
    members = unpacked(coordinator.made()[1])
    (tmp_path / "a.zip").write_bytes(packed(members))
    assert read_release(tmp_path / "a.zip", None).signer is None
    (tmp_path / "a.zip").write_bytes(packed(members | {CARD: b"{}"}))
    with pytest.raises(IntegrityError):
        read_release(tmp_path / "a.zip", None)


def resigned(coordinator: Coordinator, **changes: object) -> bytes:
    """A release whose coordinator signed a manifest with such keys changed."""
    members = unpacked(coordinator.made()[1])
    manifest = {**json.loads(members[MANIFEST]), **changes}
    content = json.dumps(manifest, indent=1).encode() + b"\n"
    return packed(members | {MANIFEST: content, SIGNATURE: signature_of(content, coordinator.key)})


def test_files_that_do_not_belong_together_are_refused_even_if_they_are_signed(
    coordinator: Coordinator, refused: Refused, federation: Federation
) -> None:
    members = unpacked(coordinator.made()[1])
    body = {name: content for name, content in members.items() if name not in (MANIFEST, SIGNATURE)}
    assert isinstance(refused(resigned(coordinator, version="test-2")), IntegrityError)
    assert isinstance(refused(resigned(coordinator, federation="0" * 64)), IntegrityError)
    assert isinstance(refused(resigned(coordinator, format=2)), InvalidContentError)
    assert isinstance(refused(resigned(coordinator, version="test")), InvalidContentError)
    with_more = coordinator.made(members={**coordinator.members(), "agreement/stray.csv": b"a,b\n"})[1]
    assert isinstance(refused(with_more), IntegrityError)
    unknown = coordinator.made(members={**coordinator.members(), "calibration.bin": b""})[1]
    assert isinstance(refused(unknown), InvalidContentError)
    assert stamped(body[WEIGHTS], stamp_of(body[WEIGHTS])) == body[WEIGHTS]


@pytest.mark.parametrize("name", [CARD, WEIGHTS, PREPROCESSING, FEDERATION])
def test_a_member_that_is_missing_or_no_such_file_is_refused(
    coordinator: Coordinator, refused: Refused, name: str
) -> None:
    members = coordinator.members()
    key, digest = coordinator.key, coordinator.federation.digest
    for content in (None, b"not this"):
        from common.release.manifest import Manifest

        spoilt = {**unpacked(coordinator.made(members=members)[1])}
        del spoilt[MANIFEST], spoilt[SIGNATURE]
        if content is None:
            del spoilt[name]
        else:
            spoilt[name] = content
        signed = Manifest.of("test-1", None, digest, "run", (), spoilt).content()
        refused(packed({MANIFEST: signed, SIGNATURE: signature_of(signed, key), **spoilt}))


def test_tables_are_read_with_the_release_and_refused_in_another_form(
    coordinator: Coordinator, refused: Refused, tmp_path: Path
) -> None:
    few = OutcomeCalibration(events=11)
    calibration = CalibrationTable(tasks={"survival": {"event": few}})
    intervals = IntervalTable(tasks={"survival": {"event": OutcomeIntervals(patients=3, events=1)}})
    tables = {CALIBRATION: calibration.content(), INTERVALS: intervals.content()}
    (tmp_path / "made.zip").write_bytes(coordinator.made(members=coordinator.members() | tables)[1])
    release = read_release(tmp_path / "made.zip", coordinator.key.public_key())
    assert (release.calibration, release.intervals) == (calibration, intervals)
    assert any("11 events told and 30 are needed" in line for line in release.lines())
    stranger = {CALIBRATION: CalibrationTable(tasks={"other": {"event": few}}).content()}
    for members in (
        coordinator.members() | {CALIBRATION: b"{}"},
        coordinator.members() | {INTERVALS: b"{}"},
        coordinator.members() | stranger,
        coordinator.ensemble() | tables,
    ):
        assert isinstance(refused(coordinator.made(members=members)[1]), InvalidContentError)


def test_a_file_that_is_not_there_or_no_archive_is_refused(refused: Refused, tmp_path: Path) -> None:
    assert isinstance(refused(b""), IntegrityError)
    assert isinstance(refused(b"name = 1\n"), IntegrityError)
    with pytest.raises(MissingFileError):
        read_release(tmp_path / "none.zip", None)
    with pytest.raises(InputError):
        read_release(tmp_path, None)


def test_a_release_of_several_trainings_has_the_arrays_of_each(
    coordinator: Coordinator, refused: Refused, tmp_path: Path
) -> None:
    members = coordinator.ensemble()
    (tmp_path / "file.zip").write_bytes(coordinator.made(members=members)[1])
    release = read_release(tmp_path / "file.zip", coordinator.key.public_key())
    assert release.models == 3
    for name in ("weights-3.safetensors", "preprocessing-2.safetensors"):
        stamp = {"version": "test-1", "federation": coordinator.federation.digest}
        assert stamp_of(release.members[name]) == stamp
        without = {other: content for other, content in members.items() if other != name}
        assert name in refused(coordinator.made(members=without)[1]).where
    card = coordinator.members()[CARD]
    assert "preprocessing-2" in refused(coordinator.made(members=members | {CARD: card})[1]).where
    content = (tmp_path / "file.zip").read_bytes()
    place = content.index(release.members["weights-2.safetensors"][-64:])
    changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    assert isinstance(refused(changed), IntegrityError)
