"""The last reply to a run is given again for the very same request, and for no other."""

import stat
import threading
from pathlib import Path

import numpy as np
import pytest
from flwr.app import RecordDict

from client.rounds.kept_reply import MOST_RUNS, KeptReply, forget_replies
from client.site_folder.places import Home
from common.messages.exchange import EvaluateReply, ModelRequest, StatisticsRequest

ASKED = {
    "federation": "f" * 64,
    "round": 3,
    "fold": -1,
    "seed": 0,
    "run": "20270101-120000",
    "weights": {"w": np.ones(4, np.float32)},
    "preprocessing": {"p": np.zeros(2, np.float32)},
}


def request(**changes: object) -> RecordDict:
    return ModelRequest.model_validate({**ASKED, **changes}).to_record()


def reply(loss: float = 1.5) -> RecordDict:
    return EvaluateReply(site="one", round=3, metrics={"validation_loss": loss}).to_record()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "site.toml").write_text('name = "one"\n')
    return Home(tmp_path)


def kept(home: Home, content: RecordDict, kind: str = "train", flower_run: int = 5) -> KeptReply:
    return KeptReply(home, kind, content, flower_run)


def test_the_same_request_gets_the_same_bytes_in_whatever_submission(home: Home) -> None:
    kept(home, request()).keep(reply())
    again = kept(home, request(), flower_run=6).find()
    assert again is not None
    assert again.object_id == reply().object_id
    (path,) = home.answers.glob("*.reply")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.answers.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "other",
    [
        {"federation": "e" * 64},
        {"round": 4},
        {"fold": 0},
        {"seed": 1},
        {"run": "20270101-120001"},
        {"weights": {"w": np.ones(4, np.float32) * 2}},
        {"weights": {"v": np.ones(4, np.float32)}},
        {"preprocessing": {"p": np.ones(2, np.float32)}},
    ],
)
def test_any_other_request_gets_none(home: Home, other: dict[str, object]) -> None:
    kept(home, request()).keep(reply())
    assert kept(home, request(**other)).find() is None
    assert kept(home, request(), kind="evaluate").find() is None


def test_another_count_of_messages_is_no_other_question(home: Home) -> None:
    plain = StatisticsRequest(federation="f" * 64, fold=-1, run="a")
    kept(home, plain.to_record(), "query.statistics").keep(reply())
    counted = plain.model_copy(update={"countersignature": "signed"}).to_record()
    assert kept(home, counted, "query.statistics").find() is not None


def test_a_run_without_a_name_is_that_of_flowers_number(home: Home) -> None:
    kept(home, request(run="")).keep(reply())
    assert kept(home, request(run="")).find() is not None
    assert kept(home, request(run=""), flower_run=6).find() is None


def test_the_last_reply_of_a_run_replaces_the_one_before(home: Home) -> None:
    kept(home, request()).keep(reply())
    kept(home, request(round=4)).keep(reply(2.0))
    assert kept(home, request()).find() is None
    assert kept(home, request(round=4)).find() is not None


def test_replies_are_kept_of_the_last_runs_alone_and_of_none_after_an_approval(home: Home) -> None:
    for number in range(MOST_RUNS + 3):
        kept(home, request(run=f"r{number}")).keep(reply())
    assert len(list(home.answers.glob("*.reply"))) == MOST_RUNS
    assert kept(home, request(run=f"r{MOST_RUNS + 2}")).find() is not None
    forget_replies(home)
    assert not list(home.answers.glob("*.reply"))


def test_a_changed_policy_gets_no_reply_from_before(home: Home) -> None:
    kept(home, request()).keep(reply())
    (home.folder / "site.toml").write_text('name = "one"\n[policy]\nminimum_count = 20\n')
    assert kept(home, request()).find() is None


@pytest.mark.parametrize("spoilt", [b"", b"{}\n", b"x", b'{"question": 1'])
def test_a_damaged_or_open_file_is_not_used(home: Home, spoilt: bytes) -> None:
    kept(home, request()).keep(reply())
    (path,) = home.answers.glob("*.reply")
    whole = path.read_bytes()
    path.write_bytes(spoilt)
    assert kept(home, request()).find() is None
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert kept(home, request()).find() is None
    path.write_bytes(whole)
    path.chmod(0o644)
    assert kept(home, request()).find() is None
    path.chmod(0o600)
    assert kept(home, request()).find() is not None


def test_a_second_request_waits_for_the_first_one_s_reply(home: Home) -> None:
    seen: list[RecordDict | None] = []

    def second() -> None:
        later = kept(home, request())
        with later.exclusively():
            seen.append(later.find())

    first = kept(home, request())
    with first.exclusively():
        assert first.find() is None
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        first.keep(reply())
    waiting.join(20)
    assert seen[0] is not None
