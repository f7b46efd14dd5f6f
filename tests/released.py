"""Releases of a small untrained model, signed by keys of the test's own."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import torch
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from safetensors.numpy import save as arrays_content

from common.agreement.federation import FILE_NAME, Federation, save
from common.families.patients import FAMILY
from common.patients.preprocessing import Preprocessing, pack_preprocessing
from common.release.card import Card, CardMember, CardTask
from common.release.manifest import Manifest, Parent
from common.release.members import CARD, PREPROCESSING, WEIGHTS, arrays_of_member
from common.release.release import agreement_members, signed_release


class Coordinator:
    """A coordinator's key with its certificate, and releases signed by it.

    The folder may hold the federation file already, with its public files.
    """

    def __init__(
        self, folder: Path, federation: Federation, hospitals: tuple[str, ...] = ("one", "two")
    ) -> None:
        self.folder, self.federation, self.hospitals = folder, federation, hospitals
        self.key = ec.generate_private_key(ec.SECP384R1())
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / FILE_NAME).exists():
            save(federation, folder / FILE_NAME)
        self.authority = folder / "ca.crt"
        self.authority.write_bytes(certificate(self.key))

    def members(self, seed: int = 0) -> dict[str, bytes]:
        """Members of a release whose weights are drawn by a seed."""
        federation = self.federation
        model = FAMILY.model(federation, FAMILY.public(federation, self.folder), seed)
        generator = torch.Generator().manual_seed(seed)
        weights = {
            name: (tensor + 0.3 * torch.randn(tensor.shape, generator=generator)).numpy()
            for name, tensor in model.state_dict().items()
        }
        prepared = FAMILY.declared(federation)
        assert isinstance(prepared, Preprocessing)
        card = Card(
            federation=federation.name,
            run="run",
            ended="2026-11-21T10:15:00+00:00",
            hospitals=self.hospitals,
            records=60,
            unit="patients",
            rounds=3,
            kept_round=2,
            validation_loss=0.7,
            private=False,
            inputs={"clinical": 2},
            tasks=tuple(CardTask(name=task.name) for task in federation.tasks),
        )
        return {
            **agreement_members(federation, self.folder),
            WEIGHTS: arrays_content(weights),
            PREPROCESSING: arrays_content(dict(pack_preprocessing(prepared))),
            CARD: card.model_dump_json().encode(),
        }

    def ensemble(self, seeds: Sequence[int] = (0, 1, 2)) -> dict[str, bytes]:
        """Members of a release of several trainings."""
        members = self.members(seeds[0])
        for number, seed in enumerate(seeds[1:], 2):
            other = self.members(seed)
            names = arrays_of_member(number)
            members |= {names[0]: other[WEIGHTS], names[1]: other[PREPROCESSING]}
        ended = "2026-11-22T10:15:00+00:00"
        others = tuple(
            CardMember(run=f"run {seed}", seed=seed, ended=ended, rounds=3, kept_round=1)
            for seed in seeds[1:]
        )
        card = Card.model_validate_json(members[CARD]).model_copy(update={"others": others})
        return members | {CARD: card.model_dump_json().encode()}

    def made(
        self,
        version: str = "test-1",
        parent: Parent | None = None,
        revoked: tuple[str, ...] = (),
        members: Mapping[str, bytes] | None = None,
        seed: int = 0,
    ) -> tuple[Manifest, bytes]:
        """Manifest and content of a release."""
        members = self.members(seed) if members is None else members
        return signed_release(version, parent, self.federation, "run", revoked, members, self.key)

    def write(
        self,
        version: str = "test-1",
        parent: Parent | None = None,
        revoked: tuple[str, ...] = (),
        seed: int = 0,
    ) -> Path:
        """File of a release."""
        path = self.folder / f"{version}-{seed}.zip"
        path.write_bytes(self.made(version, parent, revoked, seed=seed)[1])
        return path


def certificate(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Certificate of a key that signed itself, as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "coordinator")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA384())
        .public_bytes(serialization.Encoding.PEM)
    )
