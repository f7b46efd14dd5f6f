"""Averaging groups of parameters, and the training patients behind each."""

from typing import TYPE_CHECKING

from common.agreement.federation import Federation
from common.agreement.settings import Privacy
from common.patients.batch import PatientBatch

if TYPE_CHECKING:
    pass


def learns(parameter: str, privacy: Privacy, absent: frozenset[str]) -> bool:
    """Whether a parameter is trained: noise on one that no patient moves would only do harm."""
    parts = parameter.split(".")
    if parts[0] == "branches" and parts[1] in absent:
        return False
    linear = "scores" in parts or (parts[0] == "heads" and parts[-1] == "bias")
    return linear or privacy.learn == "all"


def averaging_group(parameter: str) -> str:
    """The group a parameter is averaged in, which says whose patients it was trained on.

    `branches.MODALITY.scores.TASK` for the additive scores, `branches.MODALITY` for the rest of a branch,
    `heads.TASK` for a head, and `patients` for shared parameters.
    """
    parts = parameter.split(".")
    if parts[0] == "branches":
        return ".".join(parts[:4] if parts[2] == "scores" else parts[:2])
    return ".".join(parts[:2]) if parts[0] == "heads" else "patients"


def patients_behind(batch: PatientBatch, federation: Federation) -> dict[str, int]:
    """Averaging group -> patients of the batch that train it."""
    present = {modality.name: batch.present(modality.name) for modality in federation.modalities}
    labelled = {task.name: batch.labelled[task.name].any(1) for task in federation.tasks}
    counts = {"patients": len(batch)}
    counts |= {f"heads.{task}": int(known.sum()) for task, known in labelled.items()}
    for modality, here in present.items():
        counts[f"branches.{modality}"] = int(here.sum())
        for task, known in labelled.items():
            counts[f"branches.{modality}.scores.{task}"] = int((here & known).sum())
    return counts


def hospitals_behind(federation: Federation, absent: frozenset[str]) -> dict[str, float]:
    """Averaging group -> 1, or 0 for modalities that the hospital has no table of: no patient is counted."""
    counts = {"patients": 1.0} | {f"heads.{task.name}": 1.0 for task in federation.tasks}
    for modality in federation.modalities:
        has = 0.0 if modality.name in absent else 1.0
        counts[f"branches.{modality.name}"] = has
        counts |= {f"branches.{modality.name}.scores.{task.name}": has for task in federation.tasks}
    return counts
