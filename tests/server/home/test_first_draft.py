"""The first draft of a federation file can be read."""

import tomllib
from pathlib import Path

from client.commands.init import SKELETON
from client.site_folder.policy import Policy, agree
from common.agreement.federation import FILE_NAME, load
from common.families.family import refuse
from common.families.registry import family_of
from common.privacy.accounting import spend
from server.home.first_draft import FIRST_DRAFT


def test_the_first_draft_can_be_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(FIRST_DRAFT)
    draft = load(tmp_path / FILE_NAME)
    assert draft.declared_patients == {"hospital 1": 500, "hospital 2": 500}
    assert [task.name for task in draft.tasks] == ["survival"]
    assert draft.privacy is not None
    assert draft.privacy.statistics == "declared"
    refuse(family_of(draft), draft)
    site = tomllib.loads(SKELETON.format(name='name = "hospital 1"'))
    terms = agree(Policy.model_validate(site["policy"]), draft, 400)
    assert terms.privacy == draft.privacy, "the policy of a new site permits it as it is"
    assert spend(terms.whole_run(draft.training.rounds), 1e-3).epsilon <= site["policy"]["maximum_epsilon"]
