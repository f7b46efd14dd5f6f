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


OPTIONAL = (ONNX,)
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
