"""Members of a release, in the order in which the file has them."""

from collections.abc import Iterable

from common.agreement.agreement import FILE_NAME

MANIFEST, SIGNATURE = "manifest.json", "signature"
"""Signed content, and its signature; the manifest lists all other members."""


WEIGHTS, PREPROCESSING = "weights.safetensors", "preprocessing.safetensors"


CARD = "card.json"


AGREEMENT = "agreement/"
"""Folder of the federation file and its public files."""


FEDERATION = AGREEMENT + FILE_NAME


REQUIRED = (FEDERATION, WEIGHTS, PREPROCESSING, CARD)


ONNX = "model.onnx"
"""Twin of the model for other runtimes (`common.export.onnx_twin`)."""


MOST_MODELS = 10
"""Members of an ensemble at the most, with the first one."""


def arrays_of_member(number: int) -> tuple[str, str]:
    """Name weights and preprocessing of an ensemble's member, counted from 1."""
    if number == 1:
        return WEIGHTS, PREPROCESSING
    return f"weights-{number}.safetensors", f"preprocessing-{number}.safetensors"


ENSEMBLE = tuple(name for number in range(2, MOST_MODELS + 1) for name in arrays_of_member(number))
"""Arrays of an ensemble's other members, which are there without a gap, in pairs."""


STRUCTURE = "structure.safetensors"
"""Structure of ordinary tables, against which patients' tables are held (`common.structure`)."""


VALIDATION = "validation.json"
"""Figures of the model on hospitals' held-out patients (`common.validation.sums.table`)."""


TEST = "test.json"
"""The same figures on those who neither trained the model nor helped to choose or calibrate it."""


CALIBRATION, INTERVALS = "calibration.json", "intervals.json"
"""Levels by which predictions are moved, and thresholds of their intervals, by hospital."""


EXPLANATIONS = "explanations.json"
"""Mean contributions by modality and pathway over hospitals' held-out patients."""


OPTIONAL = (*ENSEMBLE, STRUCTURE, CALIBRATION, INTERVALS, VALIDATION, TEST, EXPLANATIONS, ONNX)
"""Members that a release may have beside those; a version that does not list a member refuses the release.

Whatever changes a prediction, or how far it may be believed, comes in here by a name: nothing rides along unread.
"""


def ordered(names: Iterable[str]) -> list[str]:
    """Sort members: federation file, public files by name, then the others as above."""
    last = (*REQUIRED[1:], *OPTIONAL)

    def rank(name: str) -> tuple[int, str]:
        if name == FEDERATION:
            return 0, ""
        return (last.index(name) + 2, "") if name in last else (1, name)

    return sorted(names, key=rank)


def is_expected(name: str) -> bool:
    """Whether a member is one that this version reads."""
    return name in REQUIRED or name in OPTIONAL or name.startswith(AGREEMENT)


def holds_arrays(name: str) -> bool:
    """Whether a member is a safetensors file, whose metadata name federation file and version."""
    return name.endswith(".safetensors") and not name.startswith(AGREEMENT)
