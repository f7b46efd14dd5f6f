"""A power cut at any line of the app's answer never leaves training uncounted."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import client.app
from client.ledger import entries as ledger_entries
from client.ledger import heads as ledger_heads
from client.ledger import ledger
from client.ledger.heads import HEAD_FILE
from client.ledger.ledger import LEDGER, Ledger
from client.rounds import accounts, questions, requests, train
from client.rounds.kept_reply import forget_replies
from client.site_folder.places import Home
from client.site_folder.policy import Limit
from common.agreement.federation import save
from common.agreement.privacy_settings import Privacy
from common.errors import RefusalCode
from common.messages.exchange import InvalidMessageError, RefusalReply, TrainReply
from common.privacy.accounting import Release
from common.privacy.planning import with_privacy
from simulations.engines.flower_internals import acting_as
from tests.client.conftest import NODE, Hospital, Site
from tests.client.kills import killed_at, lines_to_kill_at

FILES = {
    module.__file__
    for module in (client.app, accounts, questions, requests, train, ledger, ledger_entries, ledger_heads)
}
PRIVACY = Privacy(noise_multiplier=2.0, sampling_rate=0.5, expected_batch_size=6, steps=2)
PAID = Release(mechanism="training", noise_multiplier=2.0, sampling_rate=0.5, steps=2)
EARLIER = Release(mechanism="statistics", noise_multiplier=20.0)


@pytest.fixture
def site_folder(memory: Path) -> Site:
    folder = memory / "site"
    folder.mkdir()
    return Site(folder)


@pytest.fixture
def answer(hospital: Hospital) -> Callable[[], bool]:
    """Asks the app for a private round; whether it replied with weights."""
    hospital.federation = with_privacy(hospital.federation, PRIVACY)
    save(hospital.federation, hospital.folder / "federation.toml")
    message = hospital.message("train", hospital.request().to_record())

    def ask() -> bool:
        with acting_as(hospital.run.run_id, NODE, 1):
            reply = client.app.app(message=message, context=hospital.context)
        try:
            TrainReply.from_record(reply.content)
        except InvalidMessageError:
            assert RefusalReply.from_record(reply.content).code is not RefusalCode.INTERNAL
            return False
        return True

    return ask


def forget(hospital: Hospital) -> None:
    """Remove every trace of training of this cohort."""
    shutil.rmtree(hospital.folder / LEDGER.parent, ignore_errors=True)
    shutil.rmtree(hospital.state, ignore_errors=True)
    forget_replies(Home(hospital.folder))
    (hospital.folder / HEAD_FILE).unlink(missing_ok=True)


@pytest.mark.parametrize("earlier", [0, 1])
def test_a_kill_at_any_line_of_an_answer_never_loses_what_was_trained(
    hospital: Hospital,
    answer: Callable[[], bool],
    memory: Path,
    monkeypatch: pytest.MonkeyPatch,
    earlier: int,
) -> None:
    began, replied = memory / "began", memory / "replied"

    def training(*_: Any) -> None:
        began.touch()

    def life() -> None:
        if answer():
            replied.touch()

    monkeypatch.setattr("client.rounds.train.train_privately", training)
    assert answer()  # the site is open from now on, as after a round

    def begin() -> None:
        forget(hospital)
        began.unlink(missing_ok=True)
        replied.unlink(missing_ok=True)
        if earlier:
            with Ledger(hospital.folder) as book:
                book.commit(book.reserve("earlier", None, [EARLIER], Limit(None, 1e-3)))

    begin()
    lines, outcomes = lines_to_kill_at(FILES, memory, life), set()
    assert lines[-1] > 1000
    for line in lines:
        begin()
        assert killed_at(line, FILES, life) is (line < lines[-1])
        with Ledger(hospital.folder) as book:
            counted = book.releases()
        assert counted in ([EARLIER] * earlier, [*[EARLIER] * earlier, PAID])
        assert PAID in counted or not (began.exists() or replied.exists())
        outcomes.add((PAID in counted, began.exists(), replied.exists()))
    assert outcomes == {(False, False, False), (True, False, False), (True, True, False), (True, True, True)}
    assert answer()  # the reply that was kept leaves again, and is paid for once
    hospital.begin_run()
    assert answer()
    with Ledger(hospital.folder) as book:
        assert book.releases() == [*[EARLIER] * earlier, PAID, PAID]
