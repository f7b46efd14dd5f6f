"""Facts about identity, use and upkeep of a release, and about its training data."""

from common.agreement.agreement import Agreement
from common.counting import counted
from common.documents.facts.fact import Fact, Facts, Topic
from common.release.members import ONNX
from common.release.release import ModelRelease


def origin_facts(release: ModelRelease) -> Facts:
    """Collect identity, use and upkeep."""
    manifest, card = release.manifest, release.card
    parent = "the first of its name" if manifest.parent is None else f"after {manifest.parent.version}"
    signed = (
        f"Its signature was verified with the key {release.signer}."
        if release.signer
        else "No key was named to verify it with, so that its origin is not known."
    )
    software = card.software
    return {
        Topic.NAME: Fact(
            "Name and version",
            (f"{card.federation}, version {release.version}, {parent}; training ended {card.ended}.",),
            {"federation": card.federation, "version": release.version, "ended": card.ended},
        ),
        Topic.ORIGIN: Fact(
            "Origin",
            (
                f"Run {manifest.run} under the federation file with SHA-256 {manifest.federation}.",
                f"The manifest of the release has SHA-256 {manifest.sha256}.",
                signed,
            ),
            {
                "run": manifest.run,
                "federation_sha256": manifest.federation,
                "manifest_sha256": manifest.sha256,
                "signer": release.signer,
            },
        ),
        Topic.SOFTWARE: Fact("Software", lack="not recorded")
        if software is None
        else Fact(
            "Software",
            (
                f"Trained with consilium {software.consilium} (SHA-256 of its files {software.code}) and"
                f" PyTorch {software.torch}.",
            ),
            software.model_dump(),
        ),
        Topic.USE: Fact("Use", (f"For {card.use}.",), card.use),
        Topic.MAINTENANCE: _maintenance(release),
        Topic.ACCESS: _access(release),
    }


def _maintenance(release: ModelRelease) -> Fact:
    revoked = release.manifest.revoked
    named = f"It names {', '.join(revoked)} as revoked." if revoked else "It names no version as revoked."
    lines = (
        "The coordinator numbers releases, and numbers only grow; a later release can revoke this one.",
        named,
        "A hospital keeps every release that it adopted, and can go back.",
    )
    return Fact("Upkeep", lines, {"revoked": list(revoked)})


def _access(release: ModelRelease) -> Fact:
    lines = [
        "The file of the release holds weights, preprocessing and federation file, which are the whole model.",
        "A hospital computes predictions with `consilium site adopt` and `consilium predict`, a program with"
        " `consilium.load_model`.",
    ]
    has_twin = ONNX in release.members
    if has_twin:
        lines.append("An ONNX twin for other runtimes is in it.")
    return Fact("Access to the model", tuple(lines), {"onnx": has_twin, "members": list(release.members)})


def data_facts(release: ModelRelease) -> Facts:
    """Collect hospitals, numbers and the use of the data."""
    card, agreement = release.card, release.agreement
    hospitals = counted(len(card.hospitals), "hospital")
    absent = [
        participant.name for participant in agreement.participants if participant.name not in card.hospitals
    ]
    without = (f"Named in the federation file, but not in the run: {'; '.join(absent)}.",) if absent else ()
    return {
        Topic.HOSPITALS: Fact(
            "Hospitals",
            (f"{hospitals}: {'; '.join(card.hospitals)}.", *without),
            {"took_part": list(card.hospitals), "absent": absent},
        ),
        Topic.RECORDS: _records(release),
        Topic.PARTICIPATION: _participation(agreement, card.unit),
        Topic.SPLIT: Fact(
            "Division of the data",
            _split(agreement, card.unit),
            {
                "validation_fraction": agreement.training.validation_fraction,
                "calibration_fraction": agreement.training.calibration_fraction,
                "test_fraction": agreement.training.test_fraction,
            }
            if agreement.privacy is None
            else None,
        ),
    }


def _records(release: ModelRelease) -> Fact:
    card = release.card
    if card.records is None:
        lines = [f"Hospitals keep their numbers of {card.unit} to themselves."]
    else:
        lines = [f"{card.records:,} {card.unit} trained the model."]
        if card.validated is not None:
            lines.append(
                f"Hospitals told of {card.validated:,} others, who validated its rounds and by whom the kept one was"
                f" chosen; a hospital with few of them tells nothing."
            )
    most = release.agreement.declared_patients
    if most:
        sizes = "; ".join(f"{name}, {number:,}" for name, number in most.items())
        lines.append(f"Declared numbers of {card.unit}, at the most: {sizes}.")
    return Fact(
        "Numbers", tuple(lines), {"trained": card.records, "validated": card.validated, "declared": most}
    )


def _participation(agreement: Agreement, unit: str) -> Fact:
    lines = [f"A hospital takes part with at least {agreement.minimum_patients} {unit}."]
    privacy = agreement.privacy
    if privacy is None or privacy.statistics == "public":
        lines.append(
            f"It sends no exact sum about fewer than {agreement.statistics.minimum_count} {unit}, or its own higher"
            " minimum."
        )
    numbers = {
        "minimum_patients": agreement.minimum_patients,
        "minimum_count": agreement.statistics.minimum_count,
    }
    return Fact("Terms of taking part", tuple(lines), numbers)


def _split(agreement: Agreement, unit: str) -> tuple[str, ...]:
    unchecked = "Nothing checks whether a patient is in the tables of two hospitals."
    if agreement.privacy is not None:
        return (f"All {unit} of a hospital trained the model, and none were held out.", unchecked)
    training = agreement.training
    lines = [
        f"At each hospital {training.validation_fraction:.0%} of the {unit}, at least one, were drawn to validate every"
        " round; the others trained."
    ]
    if training.calibration_fraction:
        lines[0] = lines[0].replace("the others trained", "most others trained")
        lines.append(
            f"{training.calibration_fraction:.0%} of the {unit} trained nothing and chose nothing: figures about them"
            " are of patients who were new to the model, at hospitals that were not."
        )
    if training.test_fraction:
        lines[0] = lines[0].replace("the others trained", "most others trained")
        lines.append(
            f"{training.test_fraction:.0%} of the {unit} trained, chose and calibrated nothing: they test the model."
        )
    lines += [
        f"Validation {unit} chose the kept round: figures about them are not those of an independent test.",
        unchecked,
    ]
    return tuple(lines)
