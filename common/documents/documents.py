"""Documents about a release: model card and checklists, from the release alone.

`facts.py` collects what a release knows, topic by topic; every document says it in its own order. The same release
gives the same files.
"""

from pathlib import Path

from common.documents.applied_card import applied_card
from common.documents.checklists.checklist import checklist_json, checklist_markdown
from common.documents.checklists.mi_claim import MI_CLAIM
from common.documents.checklists.probast_ai import PROBAST_AI
from common.documents.checklists.tripod_ai import TRIPOD_AI
from common.documents.facts.facts import facts_of
from common.documents.model_card import card_json, card_markdown
from common.errors import OptionError
from common.files import write_whole
from common.lifetime.named_output import require_output
from common.release.release import ModelRelease

CHECKLISTS = {"tripod-ai": TRIPOD_AI, "probast-ai": PROBAST_AI, "mi-claim": MI_CLAIM}
"""Checklists by the name of their files."""


def documents_of(release: ModelRelease) -> dict[str, bytes]:
    """Write the documents about a release: name of the file -> content."""
    facts = facts_of(release)
    documents = {
        "model-card.md": card_markdown(release, facts),
        "model-card.json": card_json(release, facts),
        "model-card.xml": applied_card(release, facts),
    }
    for name, checklist in CHECKLISTS.items():
        documents[f"{name}.md"] = checklist_markdown(checklist, release, facts)
        documents[f"{name}.json"] = checklist_json(checklist, release, facts)
    return documents


def write_documents(release: ModelRelease, folder: Path) -> list[Path]:
    """Write the documents about a release into a folder, which is made if there is none.

    Raises:
        InputError: if a file stands in the folder's place, or something that is no file in that of a document;
            nothing is written then.
        OSError: if a file cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise OptionError(str(folder), "is no folder", "name a folder, new or not")
    documents = {folder / name: content for name, content in documents_of(release).items()}
    for path in documents:
        require_output(path, [Path(release.where)])
    for path, content in documents.items():
        write_whole(path, content)
    return list(documents)
