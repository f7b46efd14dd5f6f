"""Release of a trained model: one signed file with everything that a prediction needs.

A reader has to name the key that it trusts. It checks, in this order: the form of the archive, the signature of the
manifest, every member against the manifest, and that federation file, weights and preprocessing belong together. A file
of which a byte differs fails at one of these, and nothing in it is run.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from common.agreement.agreement import FILE_NAME, Agreement
from common.agreement.loading import load_agreement
from common.errors import (
    InputError,
    IntegrityError,
    InvalidContentError,
    MissingFileError,
    UnreadableFileError,
    escaped,
)
from common.files import write_whole
from common.node_keys import PublicKey, fingerprint
from common.reading.access import opened
from common.release.archive import LARGEST, ArchiveError, packed, unpacked
from common.release.calibration_table import CalibrationTable
from common.release.card import Card
from common.release.explanation_table import ExplanationTable
from common.release.interval_table import IntervalTable
from common.release.manifest import Manifest, Parent, member_of
from common.release.members import (
    AGREEMENT,
    CALIBRATION,
    CARD,
    ENSEMBLE,
    EXPLANATIONS,
    FEDERATION,
    INTERVALS,
    MANIFEST,
    PREPROCESSING,
    REQUIRED,
    SIGNATURE,
    WEIGHTS,
    arrays_of_member,
    holds_arrays,
    is_expected,
    ordered,
)
from common.release.signing import is_signed, signature_of
from common.release.stamp import arrays_of, stamp_of, stamped

AGAIN = "get the file from the coordinator again"


@dataclass(frozen=True)
class ModelRelease:
    """Release whose members are those of its manifest.

    Attributes:
        where: the file, for errors.
        content: of the whole file.
        manifest: what was signed.
        members: every other member but the signature.
        agreement: the federation file in it.
        card: the card in it.
        signer: fingerprint of the key that signed it; None where no key was named.
    """

    where: str
    content: bytes
    manifest: Manifest
    members: Mapping[str, bytes]
    agreement: Agreement
    card: Card
    signer: str | None

    @property
    def version(self) -> str:
        """Version of the release."""
        return self.manifest.version

    @cached_property
    def weights(self) -> dict[str, Any]:
        """Weights by parameter, of the first member of an ensemble."""
        return arrays_of(self.members[WEIGHTS])

    @cached_property
    def preprocessing(self) -> dict[str, Any]:
        """Preprocessing as arrays by name, of the first member of an ensemble."""
        return arrays_of(self.members[PREPROCESSING])

    @property
    def models(self) -> int:
        """Number of trainings whose mean is predicted: 1, or the members of an ensemble."""
        return 1 + len(self.card.others)

    def lines(self) -> list[str]:
        """Describe the release in words."""
        manifest = self.manifest
        parent = "the first of its name" if manifest.parent is None else f"after {manifest.parent.version}"
        lines = [
            f"Release {manifest.version}, {parent}, of run {manifest.run} ({self.card.ended}).",
            f"Federation file {manifest.federation}.",
            *self.card.lines(),
            f"For {self.card.use}. {self._calibrated()}",
            f"Intervals of a patient's outcome: {'none' if self.intervals is None else self.intervals.summary()}.",
        ]
        if self.explanations is not None:
            lines += self.explanations.lines()
        if manifest.revoked:
            lines.append(f"Revoked by the coordinator: {', '.join(manifest.revoked)}.")
        return [escaped(line) for line in lines]

    def _calibrated(self) -> str:
        if self.calibration is None:
            return "Its probabilities are not calibrated."
        return f"Calibrated: {self.calibration.summary()}."

    @cached_property
    def calibration(self) -> CalibrationTable | None:
        """Table of calibration; None of a release without one."""
        return CalibrationTable.read(self.members[CALIBRATION]) if CALIBRATION in self.members else None

    @cached_property
    def intervals(self) -> IntervalTable | None:
        """Table of intervals; None of a release without one."""
        return IntervalTable.read(self.members[INTERVALS]) if INTERVALS in self.members else None

    @cached_property
    def explanations(self) -> ExplanationTable | None:
        """Table of explanations over hospitals; None of a release without one."""
        if EXPLANATIONS not in self.members:
            return None
        return ExplanationTable.read(self.members[EXPLANATIONS])

    @contextmanager
    def agreement_folder(self) -> Iterator[Path]:
        """Lay out the federation file and its public files in a temporary folder."""
        with _laid_out(self.members) as folder:
            yield folder


def signed_release(
    version: str,
    parent: Parent | None,
    agreement: Agreement,
    run: str,
    revoked: tuple[str, ...],
    members: Mapping[str, bytes],
    key: ec.EllipticCurvePrivateKey,
) -> tuple[Manifest, bytes]:
    """Make a release: its manifest, and the file's content.

    Args:
        version: `NAME-N`.
        parent: the release before it.
        agreement: the federation file among the members.
        run: name of the run.
        revoked: versions that are revoked.
        members: name -> content; files of arrays are given metadata.
        key: of the coordinator's authority.

    Raises:
        ArchiveError: if a public file's name is unfit, or there is too much.
    """
    stamp = _stamp(version, agreement.digest)
    whole = {
        name: stamped(members[name], stamp) if holds_arrays(name) else members[name]
        for name in ordered(members)
    }
    manifest = Manifest.of(version, parent, agreement.digest, run, revoked, whole)
    content = manifest.content()
    return manifest, packed({MANIFEST: content, SIGNATURE: signature_of(content, key), **whole})


def _stamp(version: str, digest: str) -> dict[str, str]:
    return {"federation": digest, "version": version}


def agreement_members(agreement: Agreement, folder: Path) -> dict[str, bytes]:
    """Read the federation file in a folder and its public files as members.

    Raises:
        OSError: if a file cannot be read.
    """
    names = (FILE_NAME, *(file.path for file in agreement.public_files))
    return {AGREEMENT + name: (folder / name).read_bytes() for name in names}


def read_release(path: Path, key: PublicKey | None) -> ModelRelease:
    """Read a release and verify it.

    Args:
        path: the file.
        key: of the coordinator that is trusted. Without one, members are held against a manifest of unknown origin.

    Raises:
        InputError: naming the part that is not as it was signed.
    """
    where = str(path)
    content = _content(path)
    try:
        members = unpacked(content)
    except ArchiveError as error:
        raise IntegrityError(where, str(error), AGAIN) from None
    manifest = _manifest(where, members, key)
    _require_members(where, members, manifest)
    card = _card(where, members[CARD])
    agreement = _agreement(where, members, manifest)
    _require_models(where, members, 1 + len(card.others))
    _require_tables(where, members, agreement, 1 + len(card.others))
    return ModelRelease(
        where=where,
        content=content,
        manifest=manifest,
        members=members,
        agreement=agreement,
        card=card,
        signer=None if key is None else fingerprint(key),
    )


def _content(path: Path) -> bytes:
    with opened(
        path, MissingFileError(str(path), "there is no such file", "name the file of a release")
    ) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise UnreadableFileError(str(path), "is too large for a release", "name the file of a release")
    return content


def _manifest(where: str, members: dict[str, bytes], key: PublicKey | None) -> Manifest:
    """Take manifest and signature out of the members, and return the manifest."""
    if list(members)[:2] != [MANIFEST, SIGNATURE]:
        raise IntegrityError(where, f"does not begin with {MANIFEST} and {SIGNATURE}", AGAIN)
    content, signature = members.pop(MANIFEST), members.pop(SIGNATURE)
    if key is not None and not is_signed(content, signature, key):
        what = f"is not signed by the key {fingerprint(key)}, or its {MANIFEST} was changed"
        remedy = f"{AGAIN}, and ask the coordinator by telephone for the fingerprint of its key"
        raise IntegrityError(where, what, remedy)
    manifest = Manifest.read(content)
    if manifest is None or manifest.content() != content:
        what = f"has a {MANIFEST} of another format"
        raise InvalidContentError(where, what, "install the version of consilium that made the release")
    return manifest


def _require_members(where: str, members: Mapping[str, bytes], manifest: Manifest) -> None:
    if list(members) != list(manifest.members):
        raise IntegrityError(where, f"has other members, or another order, than its {MANIFEST}", AGAIN)
    for name, content in members.items():
        if member_of(content) != manifest.members[name]:
            raise IntegrityError(f"{where}, {name}", "is not the member that was signed", AGAIN)
    if unread := [name for name in members if not is_expected(name)]:
        what = "is a member that this version of consilium does not know"
        raise InvalidContentError(f"{where}, {unread[0]}", what, "install the version that made the release")
    if missing := [name for name in REQUIRED if name not in members]:
        raise InvalidContentError(f"{where}, {missing[0]}", "is missing", AGAIN)
    for name in filter(holds_arrays, members):
        try:
            stamp = stamp_of(members[name])
        except ValueError as error:
            raise UnreadableFileError(f"{where}, {name}", str(error), AGAIN) from None
        if stamp != _stamp(manifest.version, manifest.federation):
            what = "belongs to another release or federation file by its metadata"
            raise IntegrityError(f"{where}, {name}", what, AGAIN)


def _require_tables(where: str, members: Mapping[str, bytes], agreement: Agreement, models: int) -> None:
    """Require tables of the agreement's tasks, which are about a single model."""
    for name, schema in (
        (CALIBRATION, CalibrationTable),
        (INTERVALS, IntervalTable),
        (EXPLANATIONS, ExplanationTable),
    ):
        if name not in members:
            continue
        table = schema.read(members[name])
        if table is None:
            remedy = "install the version of consilium that made the release"
            raise InvalidContentError(f"{where}, {name}", "has another form", remedy)
        if models > 1 or not table.tasks.keys() <= {*agreement.task_names}:
            what = "is about another model than the one in the release"
            raise InvalidContentError(f"{where}, {name}", what, AGAIN)


def _require_models(where: str, members: Mapping[str, bytes], models: int) -> None:
    """Require the arrays of as many models as the card names, and no others."""
    expected = {name for number in range(2, models + 1) for name in arrays_of_member(number)}
    if wrong := sorted(expected ^ (members.keys() & {*ENSEMBLE})):
        what = "is missing" if wrong[0] in expected else f"belongs to no model of its {CARD}"
        raise InvalidContentError(f"{where}, {wrong[0]}", what, AGAIN)


def _agreement(where: str, members: Mapping[str, bytes], manifest: Manifest) -> Agreement:
    with _laid_out(members) as folder:
        try:
            agreement = load_agreement(folder / FILE_NAME)
        except InputError as error:
            inside = error.where.replace(f"{folder}/", AGREEMENT)
            raise type(error)(f"{where}, {inside}", error.what, error.remedy) from None
    if agreement.digest != manifest.federation:
        raise IntegrityError(f"{where}, {FEDERATION}", "has another hash than the manifest says", AGAIN)
    expected = {FEDERATION, *(AGREEMENT + file.path for file in agreement.public_files)}
    if stray := {name for name in members if name.startswith(AGREEMENT)} - expected:
        raise IntegrityError(f"{where}, {min(stray)}", "is no public file of the federation file", AGAIN)
    return agreement


def _card(where: str, content: bytes) -> Card:
    card = Card.read(content)
    if card is None:
        remedy = "install the version of consilium that made the release"
        raise InvalidContentError(f"{where}, {CARD}", "has another form", remedy)
    return card


@contextmanager
def _laid_out(members: Mapping[str, bytes]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="consilium-release-") as temporary:
        folder = Path(temporary)
        for name, content in members.items():
            if name.startswith(AGREEMENT):
                write_whole(folder / name.removeprefix(AGREEMENT), content, durable=False)
        yield folder
