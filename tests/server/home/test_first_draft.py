"""The first draft of a federation file can be read."""

from pathlib import Path

from common.agreement.federation import FILE_NAME, load
from server.home.first_draft import FIRST_DRAFT


def test_the_first_draft_can_be_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(FIRST_DRAFT)
    draft = load(tmp_path / FILE_NAME)
    assert draft.declared_patients == {"hospital 1": 500, "hospital 2": 500}
    assert [task.name for task in draft.tasks] == ["survival"]
    assert draft.privacy is None
