"""Head copies tell how far a ledger had come, and nothing else."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ledger.heads import (
    HEAD_FILE,
    Head,
    gate_head_path,
    head_of,
    head_paths,
    read_head,
    write_gate_head,
)
from client.ledger.ledger import LEDGER, Ledger, acknowledge
from client.site_folder.keys import new_key
from common.errors import Refusal, RefusalCode
from common.privacy.accounting import Release, merged, most_steps
from tests.client.conftest import NO_LIMIT, ROUND, STATISTICS

CANARY = "CANARY-8371"
ACCOUNTS = st.lists(
    st.builds(
        Release,
        mechanism=st.sampled_from(["training", "statistics"]),
        noise_multiplier=st.sampled_from([1.0, 2.0]),
        sampling_rate=st.sampled_from([0.1, 1.0]),
        steps=st.integers(1, 9),
    ),
    max_size=9,
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / CANARY
    folder.mkdir()
    (folder / "site.toml").write_text(f"name = '{CANARY}'")
    with Ledger(folder) as ledger:
        for release in (STATISTICS, ROUND, ROUND):
            ledger.reserve("run", 1, [release], NO_LIMIT)
    return folder


def steps(releases: Sequence[Release]) -> dict[Release, int]:
    kinds = {release.model_copy(update={"steps": 1}) for release in releases}
    return {
        kind: sum(r.steps for r in releases if r.model_copy(update={"steps": 1}) == kind) for kind in kinds
    }


@given(account=ACCOUNTS)
def test_merging_keeps_every_step(account: list[Release]) -> None:
    assert steps(merged(account)) == steps(account)
    assert len(merged(account)) == len(steps(account))


@given(accounts=st.lists(ACCOUNTS, max_size=4))
def test_the_largest_of_several_accounts_has_the_most_steps_of_each(accounts: list[list[Release]]) -> None:
    kinds = {kind for account in accounts for kind in steps(account)}
    assert steps(most_steps(accounts)) == {
        kind: max(steps(account).get(kind, 0) for account in accounts) for kind in kinds
    }


def test_heads_hold_the_end_of_the_ledger(site: Path) -> None:
    with Ledger(site) as ledger:
        last = ledger.entries()[-1]
    expected = Head(entries=4, hash=last.hash, releases=merged([STATISTICS, ROUND, ROUND]))
    assert [read_head(place) for place in head_paths(site)] == [expected] * 2


def test_heads_hold_no_name_and_no_path(site: Path) -> None:
    for place in head_paths(site):
        content = place.read_text()
        assert CANARY not in content
        assert str(site.parent) not in content
    outside = head_paths(site)[1]
    assert CANARY not in str(outside)
    assert site not in outside.parents


def test_head_outside_is_where_the_environment_says(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "own"))
    assert head_paths(site)[1].parent == tmp_path / "own" / "ledgers"
    monkeypatch.delenv("CONSILIUM_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert head_paths(site)[1].parent == tmp_path / "xdg" / "consilium" / "ledgers"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert head_paths(site)[1].parent == tmp_path / "home" / ".local" / "state" / "consilium" / "ledgers"


def test_the_same_folder_by_another_path_has_the_same_head(site: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(site)
    assert head_paths(tmp_path / "link")[1] == head_paths(site)[1]


def test_a_head_that_was_lost_in_the_site_folder_is_written_anew(site: Path) -> None:
    inner = head_paths(site)[0]
    before = inner.read_bytes()
    inner.unlink()
    Ledger(site).close()
    assert inner.read_bytes() == before


@pytest.mark.parametrize("lost", [(1,), (0, 1)])
def test_a_ledger_that_nothing_outside_confirms_waits_for_the_hospital(
    site: Path, lost: tuple[int, ...]
) -> None:
    places = head_paths(site)
    for place in lost:
        places[place].unlink()
    for _ in range(2):
        assert refused(site) == RefusalCode.LEDGER_UNCONFIRMED
        assert not any(places[place].exists() for place in lost)
    assert not acknowledge(site, "moved to a new machine")
    with Ledger(site) as ledger:
        assert ledger.releases() == [STATISTICS, ROUND, ROUND]
        assert ledger.entries()[-1].note == "moved to a new machine"


def refused(site: Path) -> RefusalCode:
    with pytest.raises(Refusal) as raised:
        Ledger(site)
    return raised.value.code


def test_heads_that_are_behind_catch_up(site: Path) -> None:
    places = head_paths(site)
    before = [place.read_bytes() for place in places]
    with Ledger(site) as ledger:
        ledger.reserve("run", 2, [ROUND], NO_LIMIT)
    for place, content in zip(places, before, strict=True):
        place.write_bytes(content)
    Ledger(site).close()
    assert [head.entries for head in map(read_head, places) if head] == [5, 5]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("content", ["", "{}", '{"entries": 2, "hash": "00", "releases": []}'])
def test_a_head_of_something_else_is_refused(site: Path, place: int, content: str) -> None:
    head_paths(site)[place].write_text(content)
    with pytest.raises(Refusal) as raised:
        Ledger(site)
    assert raised.value.code == RefusalCode.LEDGER_INVALID


def test_a_site_folder_with_a_node_key_moves_with_its_ledger(site: Path, tmp_path: Path) -> None:
    (site / "keys").mkdir()
    (site / "keys" / "node_key.pub").write_bytes(new_key()[1])
    Ledger(site).close()
    moved = site.rename(tmp_path / "moved")
    with Ledger(moved) as ledger:
        assert ledger.releases() == [STATISTICS, ROUND, ROUND]
    assert head_paths(moved)[1].is_file()


def test_without_a_node_key_a_moved_folder_is_confirmed_by_nothing(site: Path, tmp_path: Path) -> None:
    moved = site.rename(tmp_path / "moved")
    assert (moved / LEDGER).is_file()
    assert refused(moved) == RefusalCode.LEDGER_UNCONFIRMED


def test_a_site_folder_that_moved_and_lost_its_ledger_folder_is_noticed(site: Path, tmp_path: Path) -> None:
    moved = site.rename(tmp_path / "moved")
    assert (moved / HEAD_FILE).is_file()
    shutil.rmtree(moved / LEDGER.parent)
    assert refused(moved) == RefusalCode.LEDGER_MISSING


def test_no_file_is_ever_made_in_the_site_folder_itself(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that comes and goes would look like a table that changed."""
    seen: set[str] = set()

    replace = Path.replace

    def replaced(self: Path, target: Path) -> Path:
        seen.update(path.name for path in site.iterdir() if path.is_file())
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replaced)
    with Ledger(site) as ledger:
        ledger.reserve("run", 2, [ROUND], NO_LIMIT)
    assert seen == {"site.toml"}


def test_the_head_copy_of_an_earlier_version_is_not_forgotten(site: Path) -> None:
    with Ledger(site) as ledger:
        ledger.reserve("run", 2, [ROUND], NO_LIMIT)
    earlier = site / HEAD_FILE.name
    (site / HEAD_FILE).rename(earlier)
    copy = read_head(earlier)
    shutil.rmtree(site / "ledger")
    head_paths(site)[1].unlink()
    with pytest.raises(Refusal) as raised:
        Ledger(site)
    assert raised.value.code is RefusalCode.LEDGER_MISSING
    assert (read_head(site / HEAD_FILE), earlier.exists()) == (copy, False)


@pytest.fixture
def set_back(site: Path) -> Path:
    """A site whose ledger and both copies were set back behind what the gate has seen."""
    earlier = [(path, path.read_bytes()) for path in (site / LEDGER, *head_paths(site))]
    with Ledger(site) as ledger:
        ledger.reserve("run", 2, [ROUND], NO_LIMIT)
        gate_head_path(site).parent.mkdir()
        write_gate_head(site, ledger.entries())
    for path, content in earlier:
        path.write_bytes(content)
    return site


@pytest.mark.attack
def test_a_ledger_set_back_with_both_copies_is_told_by_the_gates(
    set_back: Path, attack_row: Callable[[str, str, str], None]
) -> None:
    with pytest.raises(Refusal) as refused:
        Ledger(set_back)
    attack_row("ledger and both copies set back by the app", "refused", refused.value.code)
    assert refused.value.code == RefusalCode.LEDGER_INVALID
    for path in (set_back / LEDGER, *head_paths(set_back)):
        path.unlink()
    with pytest.raises(Refusal) as missing:
        Ledger(set_back)
    assert missing.value.code == RefusalCode.LEDGER_MISSING


def test_what_the_gate_has_seen_counts_after_an_acknowledgement(set_back: Path) -> None:
    assert acknowledge(set_back, "set back by somebody")
    with Ledger(set_back) as ledger:
        assert steps(ledger.releases()) == steps([STATISTICS, ROUND, ROUND, ROUND])
        assert read_head(gate_head_path(set_back)) == head_of(ledger.entries())
        ledger.reserve("run", 3, [ROUND], NO_LIMIT)


def test_the_gates_copy_may_be_behind(site: Path) -> None:
    gate_head_path(site).parent.mkdir()
    with Ledger(site) as ledger:
        write_gate_head(site, ledger.entries())
        ledger.reserve("run", 2, [ROUND], NO_LIMIT)
    Ledger(site).close()


def test_an_account_that_may_not_look_goes_by_the_other_copies(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_: Path) -> bytes:
        raise PermissionError

    gate_head_path(site).parent.mkdir()
    gate_head_path(site).write_text("not a head")
    with pytest.raises(Refusal):
        Ledger(site)
    monkeypatch.setattr(
        type(site),
        "read_bytes",
        lambda path: closed(path) if path == gate_head_path(site) else path.open("rb").read(),
    )
    Ledger(site).close()
