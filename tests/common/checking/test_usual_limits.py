"""Warnings of what hospitals decline unless they edit their policy are those of such a policy."""

import pytest

from client.site_folder.policy import Policy, agree
from common.agreement.settings import Participant, Training
from common.checking.usual_limits import usually_declined
from common.errors import Refusal
from tests.conftest import _federation


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training": Training(linear_rounds=5)},
        {"training": Training(learning_rate=0.1)},
        {"training": Training(batch_size=1024)},
        {"participants": (Participant(name="one", patients=200),)},
        {"participants": (Participant(name="one", patients=20_000),)},
        {"participants": (Participant(name="one", patients=20_000),), "training": Training(batch_size=4096)},
    ],
)
def test_warnings_are_those_of_a_policy_that_nobody_edited(changes: dict[str, object]) -> None:
    federation = _federation(**changes)
    try:
        agree(Policy(), federation, 100)
        is_declined = False
    except Refusal:
        is_declined = True

    warnings = list(usually_declined(federation))

    assert bool(warnings) == is_declined
    assert all(warning.remedy for warning in warnings)
