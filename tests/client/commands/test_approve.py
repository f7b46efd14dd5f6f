"""A hospital is told in words what it agrees to, and keeps its own copy of it, whole or not at all."""

import json
import math
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import Result as Ended
from typer.testing import CliRunner

from client.cli import site_app
from client.commands.approve import BEFORE, Proposal, approve, read_proposal
from client.commands.approve_text import in_words
from client.disclosures.losses import bits_per_answer
from client.ledger.asked import runs_since_approval
from client.ledger.entries import AskedQuestion
from client.ledger.ledger import Ledger
from client.site_folder.places import Home, read_approval
from client.site_folder.policy import Limit, Policy, agree
from common.agreement.federation import FILE_NAME, Federation, load, save
from common.agreement.privacy_settings import Privacy
from common.agreement.reach import round_reach
from common.errors import (
    ApprovalError,
    GuaranteeError,
    InputError,
    InvalidContentError,
    MissingFileError,
    Refusal,
    RefusalCode,
    StateError,
)
from common.families.registry import family_of
from common.models.registry import build_model
from common.privacy import accounting
from common.privacy.accounting import Release, spend
from common.privacy.planning import with_privacy
from tests.full_disk import ends_on_full_disks

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

PRIVACY = Privacy(noise_multiplier=8.0, sampling_rate=0.5, expected_batch_size=6)


@pytest.fixture(autouse=True)
def _one_accountant(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that takes seconds is asked in `tests/common/privacy/test_accounting.py`."""
    monkeypatch.setattr(accounting, "_prv", lambda *_: math.inf)


def propose(folder: Path, **terms: Any) -> None:
    """Put privacy on these terms into a proposal."""
    federation = load(folder / FILE_NAME)
    save(with_privacy(federation, PRIVACY.model_copy(update=terms)), folder / FILE_NAME)


def allow(hospital: "Hospital", **policy: Any) -> None:
    hospital.site.site["policy"] = policy
    hospital.write()


def said(proposal: Proposal) -> str:
    return "\n".join(in_words(proposal))


def test_approving_keeps_a_copy_of_everything_that_counts(prepared: Home, proposal: Path) -> None:
    done = approve(prepared, read_proposal(prepared, proposal))
    federation = load(proposal / FILE_NAME)
    assert load(prepared.agreement) == federation
    assert (prepared.agreement.parent / "prior" / "edges.csv").read_text() == "a,b\nG1,G2\n"
    assert read_approval(prepared) == done
    assert done.federation == federation.digest
    state = build_model(federation, proposal, seed=1).state_dict()
    assert done.weights == {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert list(done.weights) == list(state)
    assert done.model_groups == family_of(federation).groups(federation, state)
    assert not list(prepared.folder.glob(".agreement*"))


def test_a_proposal_is_a_folder_or_its_file(prepared: Home, proposal: Path) -> None:
    other = proposal / "second-draft.toml"
    shutil.move(proposal / FILE_NAME, other)
    approve(prepared, read_proposal(prepared, other))
    assert load(prepared.agreement) == load(other)


def test_a_new_approval_takes_the_place_of_the_last(approved: Home, proposal: Path) -> None:
    before = read_approval(approved).federation
    changed = load(proposal / FILE_NAME).changed({"training.rounds": "7"})
    save(changed, proposal / FILE_NAME)
    approve(approved, read_proposal(approved, proposal))
    assert before != read_approval(approved).federation == changed.digest == load(approved.agreement).digest


@pytest.mark.parametrize("fails", ["disk", "folder", "copy"])
def test_an_approval_that_fails_leaves_the_last_one(
    approved: Home, proposal: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    before = {path: path.read_bytes() for path in approved.folder.rglob("*") if path.is_file()}
    save(load(proposal / FILE_NAME).changed({"training.rounds": "7"}), proposal / FILE_NAME)
    found = read_proposal(approved, proposal)

    def broken(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if fails == "copy":
        (proposal / "prior" / "edges.csv").unlink()
    elif fails == "disk":
        monkeypatch.setattr(os, "fsync", broken)
    else:
        monkeypatch.setattr(tempfile, "mkdtemp", broken)
    with pytest.raises((OSError, InputError)):
        approve(approved, found)
    assert {path: path.read_bytes() for path in approved.folder.rglob("*") if path.is_file()} == before
    assert not list(approved.folder.glob(".agreement*"))


def test_a_file_that_changes_while_it_is_read_out_is_not_approved(prepared: Home, proposal: Path) -> None:
    found = read_proposal(prepared, proposal)
    save(load(proposal / FILE_NAME).changed({"training.rounds": "7"}), proposal / FILE_NAME)
    with pytest.raises(ApprovalError):
        approve(prepared, found)
    assert not prepared.approval.exists()


def test_a_hospital_finds_itself_in_another_spelling(
    prepared: Home, proposal: Path, hospital: "Hospital"
) -> None:
    file = proposal / FILE_NAME
    file.write_text(file.read_text(encoding="utf-8").replace('"north"', '"N\u00f6rd"'), encoding="utf-8")
    hospital.site.site["name"] = "No\u0308rd"
    hospital.write()
    assert read_proposal(prepared, proposal).site == "N\u00f6rd"


def test_a_federation_without_this_hospital_is_not_read(
    prepared: Home, proposal: Path, hospital: "Hospital"
) -> None:
    hospital.site.site["name"] = "south"
    hospital.write()
    with pytest.raises(InvalidContentError) as raised:
        read_proposal(prepared, proposal)
    assert raised.value.where == str(proposal / FILE_NAME)
    assert "south" in raised.value.what


def test_a_site_file_that_names_another_hash_stands_in_the_way(
    prepared: Home, proposal: Path, hospital: "Hospital"
) -> None:
    hospital.site.site["approved"] = "0" * 64
    hospital.write()
    with pytest.raises(ApprovalError) as raised:
        read_proposal(prepared, proposal)
    assert raised.value.where == f"{prepared.folder / 'site.toml'}, approved"
    hospital.site.site["approved"] = load(proposal / FILE_NAME).digest
    hospital.write()
    assert read_proposal(prepared, proposal).site == "north"


def test_what_the_policy_or_the_guarantee_forbids_is_not_read(
    prepared: Home, proposal: Path, hospital: "Hospital"
) -> None:
    allow(hospital, require_dp=True)
    with pytest.raises(Refusal) as raised:
        read_proposal(prepared, proposal)
    assert raised.value.code is RefusalCode.DECLINED_WITHOUT_PRIVACY
    propose(proposal)
    assert read_proposal(prepared, proposal).terms.privacy == PRIVACY
    save(load(proposal / FILE_NAME).changed({"model.dropout": "0.5"}), proposal / FILE_NAME)
    with pytest.raises(GuaranteeError) as broken:
        read_proposal(prepared, proposal)
    assert "dropout" in str(broken.value)


def test_a_proposal_says_what_leaves(prepared: Home, proposal: Path) -> None:
    read = read_proposal(prepared, proposal)
    told, answer = said(read), bits_per_answer(read.terms.loss_noise, scores=3)
    run = (read.federation.training.rounds + 1) * answer
    for part in (
        "clinical: 5 values",
        "survival, response, toxicity",
        "arrays with",
        "no guarantee",
        "fewer than 2",
        f"{answer:.3f} bits",
        f"{run:.1f} bits",
    ):
        assert part in told
    assert "CANARY" not in told


@pytest.mark.parametrize(
    ("policy", "terms", "warned"),
    [
        ({"minimum_count": 1}, None, True),
        ({"minimum_count": 4}, None, True),
        ({"minimum_count": 5}, None, False),
        ({"minimum_count": 1}, "public", True),
        ({"minimum_count": 1}, "declared", False),
    ],
)
def test_a_small_minimum_count_that_file_and_policy_allow_is_warned_of(
    prepared: Home,
    proposal: Path,
    hospital: "Hospital",
    policy: dict[str, int],
    terms: str | None,
    warned: bool,
) -> None:
    if terms is not None:
        propose(proposal, statistics=terms)
    allow(hospital, **policy)
    warnings = [line for line in said(read_proposal(prepared, proposal)).splitlines() if "WARNING" in line]
    assert ["policy.minimum_count" in line for line in warnings] == [True] * warned


def test_a_silent_policy_has_the_usual_minimum_count(
    prepared: Home, proposal: Path, hospital: "Hospital"
) -> None:
    site = hospital.folder / "site.toml"
    site.write_text(site.read_text().replace("minimum_count = 1\n", ""))
    read = read_proposal(prepared, proposal)
    assert read.terms.minimum_count == 5
    assert "minimum count 5 instead of 2" in said(read)


@pytest.mark.parametrize(
    ("statistics", "leaving"),
    [
        ("declared", "a statistics message that holds nothing of your tables"),
        (
            "public",
            "exact sums per column, outside the guarantee; none of a column in which fewer than 2 patients",
        ),
    ],
)
def test_with_privacy_neither_counts_nor_losses_leave(
    prepared: Home, proposal: Path, statistics: str, leaving: str
) -> None:
    propose(proposal, statistics=statistics)
    told = said(read_proposal(prepared, proposal))
    assert leaving in told
    assert "no number of patients, no loss, no metric" in told
    assert "sums of losses" not in told
    assert "single patients" not in told


def test_noised_explanations_are_said_with_their_price(
    prepared: Home, proposal: Path, hospital: "Hospital"
) -> None:
    propose(proposal)
    without = said(read_proposal(prepared, proposal))
    assert "contributions" not in without
    federation = load(proposal / FILE_NAME)
    assert federation.privacy is not None
    noised = federation.privacy.model_copy(update={"explanations_noise_multiplier": 2.5})
    statistics = federation.statistics.model_copy(update={"explanations": True})
    save(federation.model_copy(update={"privacy": noised, "statistics": statistics}), proposal / FILE_NAME)
    told = said(read_proposal(prepared, proposal))
    assert "contributions" in told
    releases = agree(Policy(), load(proposal / FILE_NAME), 12).whole_run(federation.training.rounds)
    assert f"epsilon {spend(releases, 1e-3).epsilon:.3f} at delta 0.001" in told
    allow(hospital, minimum_noise_multiplier=9.5)
    assert "explanations noise multiplier 9.5 instead of 2.5" in said(read_proposal(prepared, proposal))
    allow(hospital, assessment=False)
    assert "contributions" not in said(read_proposal(prepared, proposal))


def test_a_proposal_says_what_it_costs(prepared: Home, proposal: Path, hospital: "Hospital") -> None:
    propose(proposal)
    allow(hospital, minimum_noise_multiplier=9.5, maximum_epsilon=0.01)
    told = said(read_proposal(prepared, proposal))
    federation = load(proposal / FILE_NAME)
    terms = agree(Policy(minimum_noise_multiplier=9.5), federation, 12)
    epsilon = spend(terms.whole_run(federation.training.rounds), 1e-3).epsilon
    assert f"epsilon {epsilon:.3f} at delta 0.001" in told
    (stricter,) = [line for line in told.splitlines() if "9.5" in line]
    assert " 8" in stricter, "the file's own noise multiplier"
    assert "0.01" in told


def costs_under(hospital: "Hospital", home: Home, proposal: Path, most: float) -> list[str]:
    """Lines on the cost under a policy that allows so much."""
    allow(hospital, maximum_epsilon=most)
    return [line for line in said(read_proposal(home, proposal)).splitlines() if "epsilon" in line]


def test_what_the_cohort_released_before_counts(prepared: Home, proposal: Path, hospital: "Hospital") -> None:
    propose(proposal)
    earlier = Release(mechanism="training", noise_multiplier=2.0)
    with Ledger(prepared.folder) as ledger:
        ledger.commit(ledger.reserve("ab" * 32, 1, [earlier], Limit(None, 1e-3)))
    federation = load(proposal / FILE_NAME)
    run = agree(Policy(), federation, 12).whole_run(federation.training.rounds)
    alone, before, after = (spend(spent, 1e-3).epsilon for spent in (run, [earlier], [earlier, *run]))
    allow(hospital, maximum_epsilon=(max(alone, before) + after) / 2)
    told = said(read_proposal(prepared, proposal))
    costs = [line for line in told.splitlines() if "epsilon" in line]
    assert all(any(f"{epsilon:.3f}" in line for line in costs) for epsilon in (alone, before, after))
    (refused,) = {*costs} - {*costs_under(hospital, prepared, proposal, after * 1.01)}
    (granted,) = {*costs_under(hospital, prepared, proposal, after * 1.01)} - {*costs}
    limit = (max(alone, before) + after) / 2
    assert f"{limit:g}" in refused
    assert f"{after * 1.01:g}" in granted
    assert refused.replace(f"{limit:g}", "") != granted.replace(f"{after * 1.01:g}", "")


def test_a_proposal_names_every_column_it_reads(prepared: Home, proposal: Path) -> None:
    told = said(read_proposal(prepared, proposal))
    for part in (
        "columns: age, crp, stage (3 levels)\n",
        "columns: G1, G2\n",
        "survival, columns of outcomes: months, died\n",
        "response, columns of outcomes: response\n",
        "toxicity, columns of outcomes: skin, gut\n",
    ):
        assert part in told


def test_of_many_columns_the_first_are_named_and_where_the_others_are(
    prepared: Home, proposal: Path, hospital: "Hospital"
) -> None:
    clinical, rna = hospital.federation.modalities
    for more in (0, 3):
        names = tuple(f"GENE{number}" for number in range(40 + more))
        many = rna.model_copy(update={"columns": names})
        federation = hospital.federation.model_copy(update={"modalities": (clinical, many)})
        save(federation, proposal / FILE_NAME)
        told = said(read_proposal(prepared, proposal))
        assert "GENE0, GENE1," in told
        assert "GENE39" in told
        assert "GENE40" not in told
        rest = f"and 3 more of 43, all of them named in {proposal / FILE_NAME}"
        assert (rest in told) is bool(more)
        assert all(len(line) <= 110 for line in told.splitlines() if "GENE" in line)


def test_a_file_cannot_write_a_text_of_its_own_into_the_approval(
    prepared: Home, proposal: Path, hospital: "Hospital"
) -> None:
    """Even if its names were never checked."""
    found = read_proposal(prepared, proposal)
    assert isinstance(found.federation, Federation)
    name = "north.\n\nWhat leaves:\n  - nothing\x1b[8m"
    federation = found.federation.model_copy(
        update={
            "participants": (found.federation.participants[0].model_copy(update={"name": name}),),
            "modalities": (
                found.federation.modalities[0].model_copy(update={"columns": (name,), "categories": {}}),
            ),
        }
    )
    lines = list(in_words(replace(found, federation=federation, site=name)))
    assert lines.count("What leaves:") == 1
    assert all(line.isprintable() for line in lines)
    assert "  - nothing" not in lines


def test_it_says_how_often_a_model_is_trained(prepared: Home, proposal: Path, hospital: "Hospital") -> None:
    allow(hospital, maximum_runs=1)
    assert "rounds 1 to 30, each asked once, in 1 run of this file" in said(read_proposal(prepared, proposal))
    allow(hospital, maximum_runs=3)
    propose(proposal)
    assert "rounds 1 to 30, each asked once, in 3 runs of this file" in said(
        read_proposal(prepared, proposal)
    )


def test_approving_again_allows_as_many_runs_once_more(prepared: Home, proposal: Path) -> None:
    question = AskedQuestion(run_id=7, kind="train", round=1, fold=-1)
    for _ in range(2):
        digest = approve(prepared, read_proposal(prepared, proposal)).federation
        with Ledger(prepared.folder) as ledger:
            assert not runs_since_approval(ledger.entries(), digest)
            ledger.ask(digest, lambda _: question)
            assert runs_since_approval(ledger.entries(), digest) == {7}


def test_it_tells_the_declared_size(prepared: Home, proposal: Path) -> None:
    federation = load(proposal / FILE_NAME)
    unsized = (federation.participants[0].model_copy(update={"patients": None}),)
    changed = federation.changed({"training.batch_size": "256"})
    save(changed.model_copy(update={"participants": unsized}), proposal / FILE_NAME)
    assert "declares no sizes: every hospital weighs alike" in said(read_proposal(prepared, proposal))
    sized = (federation.participants[0].model_copy(update={"patients": 40}),)
    save(federation.model_copy(update={"participants": sized}), proposal / FILE_NAME)
    assert "declares at most 40 patients of yours" in said(read_proposal(prepared, proposal))


def test_the_hospitals_own_minimum_count_is_told(
    prepared: Home, proposal: Path, hospital: "Hospital"
) -> None:
    assert "minimum count" not in said(read_proposal(prepared, proposal))
    allow(hospital, minimum_count=6)
    told = said(read_proposal(prepared, proposal))
    least = [line for line in told.splitlines() if " 6 " in line]
    assert any(" 2" in line for line in least), "the file's own minimum count"
    assert len(least) > 1, "and what it holds back"


def test_a_copy_that_cannot_take_its_place_gives_it_back(
    approved: Home, proposal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in approved.folder.rglob("*") if path.is_file()}
    save(load(proposal / FILE_NAME).changed({"training.rounds": "7"}), proposal / FILE_NAME)
    found, rename = read_proposal(approved, proposal), Path.replace

    def broken(self: Path, target: Path) -> Path:
        if target == approved.agreement.parent and self.name != BEFORE:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError):
        approve(approved, found)
    assert {path: path.read_bytes() for path in approved.folder.rglob("*") if path.is_file()} == before


def test_after_a_kill_between_the_renames_nothing_is_approved_until_it_is_again(
    approved: Home, proposal: Path
) -> None:
    approved.agreement.parent.replace(approved.folder / BEFORE)
    with pytest.raises(MissingFileError) as raised:
        read_approval(approved)
    assert "consilium site approve" in raised.value.remedy
    approve(approved, read_proposal(approved, proposal))
    assert load(approved.agreement) == load(proposal / FILE_NAME)
    assert not list(approved.folder.glob(".agreement*"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "every round the model's weights, "),
        (
            {"wire.update": "float16"},
            "every round the change of the model's weights, in half precision (the rest",
        ),
        (
            {"wire.update": "int8"},
            "the change of the model's weights, in integers of 8 bits (the rest is kept here",
        ),
        (
            {"wire.update": "top-k", "wire.share": "0.05"},
            "the model's weights, the largest 0.05 of its numbers (the rest",
        ),
    ],
)
def test_it_says_how_an_update_travels(
    prepared: Home, proposal: Path, settings: dict[str, str], says: str
) -> None:
    save(load(proposal / FILE_NAME).changed(settings), proposal / FILE_NAME)
    assert says in said(read_proposal(prepared, proposal))


def test_a_site_folder_of_another_kind_of_record_is_refused(approved: Home, proposal: Path) -> None:
    before = read_approval(approved)
    other = before.model_copy(update={"kind": "links", "unit": "pair"})
    approved.approval.write_text(other.model_dump_json())
    with pytest.raises(StateError) as refused:
        read_proposal(approved, proposal)
    assert refused.value.where == str(approved.folder)
    assert "consilium site init" in refused.value.remedy


def test_a_site_folder_whose_ledger_counts_another_unit_is_refused(prepared: Home, proposal: Path) -> None:
    with Ledger(prepared.folder) as ledger:
        ledger.reserve(
            "ab" * 32, 1, [Release(mechanism="training", noise_multiplier=2.0)], Limit(None, 1e-3), "pair"
        )
    with pytest.raises(StateError) as refused:
        read_proposal(prepared, proposal)
    assert refused.value.where.endswith("ledger.sqlite")


def test_an_approval_from_before_there_were_kinds_is_one_of_patients(approved: Home, proposal: Path) -> None:
    earlier = read_approval(approved).model_dump(mode="json", exclude={"kind", "unit"})
    approved.approval.write_text(json.dumps(earlier))
    assert read_proposal(approved, proposal).federation.kind == "patients"


def test_a_spoilt_approval_does_not_keep_a_file_from_being_approved_again(
    approved: Home, proposal: Path
) -> None:
    approved.approval.write_text("{")
    approve(approved, read_proposal(approved, proposal))
    assert read_approval(approved).kind == "patients"


def test_what_bounds_a_requests_weights_is_told(prepared: Home, proposal: Path) -> None:
    """Sizes, rate, epochs and batches of the file, and the move of a weight that follows from them."""
    federation = load(proposal / FILE_NAME)
    told = said(read_proposal(prepared, proposal))
    for part in (
        f"by at most {round_reach(federation):.2g} ",
        "policy.maximum_reach = 0.5",
        "hospitals of up to 200 patients",
        "1 epoch",
        "batches of 16",
        "learning rate 0.003",
        "weight decay 0.01",
    ):
        assert part in told
    propose(proposal)
    told = said(read_proposal(prepared, proposal))
    assert f"rate {PRIVACY.learning_rate:g}, on sums clipped at {PRIVACY.clip_norm:g}" in told


def test_what_a_refusal_tells_is_told(prepared: Home, proposal: Path, hospital: "Hospital") -> None:
    allow(hospital, maximum_refusals=7)
    assert "7 requests of all runs together (policy.maximum_refusals)" in said(
        read_proposal(prepared, proposal)
    )


@pytest.mark.parametrize(
    ("patients", "settings", "policy", "accepted"),
    [
        (None, {}, {}, False),
        (None, {}, {"maximum_reach": 7.0}, True),
        (1500, {}, {}, True),
        (3000, {}, {}, False),
        (3000, {"training.batch_size": "64"}, {}, True),
        (3000, {"training.batch_size": "64", "training.learning_rate": "1.0"}, {}, False),
        (200, {"training.local_epochs": "100"}, {}, False),
        (10**9, {"training.batch_size": "100000", "training.learning_rate": "1e-9"}, {}, False),
        (20_000, {"training.batch_size": "1024"}, {"largest_hospital": 20_000}, True),
    ],
)
def test_a_file_that_bounds_no_weights_is_declined(
    prepared: Home,
    proposal: Path,
    hospital: "Hospital",
    patients: int | None,
    settings: dict[str, str],
    policy: dict[str, float],
    accepted: bool,
) -> None:
    federation = load(proposal / FILE_NAME).changed(settings)
    sized = (federation.participants[0].model_copy(update={"patients": patients}),)
    federation = federation.model_copy(update={"participants": sized})
    save(federation, proposal / FILE_NAME)
    allow(hospital, **policy)
    if accepted:
        assert read_proposal(prepared, proposal).terms.privacy is None
        return
    with pytest.raises(Refusal) as raised:
        read_proposal(prepared, proposal)
    assert raised.value.code is RefusalCode.DECLINED_REACH
    propose(proposal)
    assert read_proposal(prepared, proposal).terms.privacy is not None


def test_a_full_disk_leaves_the_earlier_approval_whole(
    prepared: Home, proposal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command() -> Ended:
        return CliRunner().invoke(site_app, ["approve", str(prepared.folder), str(proposal), "--yes"])

    assert command().exit_code == 0
    before = read_approval(prepared).federation
    propose(proposal)
    after = load(proposal / FILE_NAME).digest
    assert before != after
    for _ in ends_on_full_disks(monkeypatch, prepared.folder, command):
        assert read_approval(prepared).federation in (before, after)
        assert load(prepared.agreement).digest == read_approval(prepared).federation
        assert not list(prepared.folder.glob(".agreement-[!b]*"))
    assert read_approval(prepared).federation == after
