"""One task, through Flower's own code: only the approved bundle's runs, only what the gate lets pass leaves."""

import hashlib
import importlib
import json
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from numpy.typing import NDArray

import tests
from client.commands.approve import approve, read_proposal
from client.flower.internals import FAILED, REPLACED, RUNTIME, run_client_app, weigh
from client.ledger.asked import refusals_since_approval
from client.ledger.entries import AskedQuestion
from client.ledger.heads import head_paths
from client.ledger.ledger import LEDGER, Ledger
from client.privacy.noise import NoisedSteps, NoisedSums
from client.receipts.receipt import Receipt
from client.receipts.verification import verify
from client.rounds.assembly import close_sites
from client.runtime.app_link import APP, AppProcess, BoundedRequest
from client.runtime.gatekeeper import Gatekeeper
from client.site_folder.keys import new_key, read_public_key
from client.site_folder.places import Home, read_approval
from client.site_folder.policy import Limit
from common.agreement.bundle import PACKAGE, bundle_files, bundle_hash
from common.agreement.federation import Federation, load, save
from common.agreement.modalities import Plausible
from common.agreement.privacy_settings import Privacy
from common.countersignature import Received, countersigned
from common.errors import InputError, RefusalCode
from common.families.registry import family_of
from common.messages.exchange import (
    EvaluateReply,
    ModelRequest,
    RefusalReply,
    StatisticsReply,
    StatisticsRequest,
    TrainReply,
    UpdateReply,
)
from common.node_keys import fingerprint
from common.privacy.accounting import Release
from common.privacy.planning import with_privacy
from server.home.certificates import certificate_bytes, new_authority
from simulations.engines.flower_internals import acting_as, deflate
from tests.client.runtime.linked import AppInThread
from tests.packed import arrays_of

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

CANARY = "CANARY-8371"
PRIVACY = Privacy(noise_multiplier=8.0, sampling_rate=0.5, expected_batch_size=6)


def bundle(federation: Federation) -> bytes:
    build = importlib.import_module("flwr.cli.build").build_fab_from_files
    content, _ = build(dict(bundle_files(federation)))
    assert isinstance(content, bytes)
    return content


class Node:
    """A SuperNode that hands one task to Flower's `flwr-clientapp`, and sees what comes back."""

    def __init__(self, hospital: "Hospital", monkeypatch: pytest.MonkeyPatch) -> None:
        self.hospital, self.patch = hospital, monkeypatch
        self.home = Home(hospital.folder)
        private, public = new_key()
        self.home.key.parent.mkdir()
        self.home.key.write_bytes(private)
        self.home.public_key.write_bytes(public)
        self.approve()
        self.bundle, self.version = bundle(hospital.federation), version(PACKAGE)
        self.pushed: list[Message] = []
        self.told: dict[str, Any] = {}
        self.ended: list[int] = []

    def approve(self) -> None:
        approve(self.home, read_proposal(self.home, self.hospital.folder))

    def run(self, kind: str, content: RecordDict, gatekeeper: Gatekeeper | None = None) -> None:
        """Hand over a task, each of a run of its own."""
        self.hospital.begin_run()
        runtime = importlib.import_module(RUNTIME)
        message = self.hospital.message(kind, content)
        node_config = {"site": "/elsewhere", "federation": CANARY}
        context = Context(self.hospital.run.run_id, 41, {**node_config}, RecordDict(), {"fold": 3})
        run = SimpleNamespace(run_id=8, fab_id="consilium/consilium", fab_version=self.version)
        fab = SimpleNamespace(content=self.bundle, hash_str=hashlib.sha256(self.bundle).hexdigest())
        self.pushed, self.told, self.ended = [], {}, []
        with self.patch.context() as patch:
            for name in REPLACED:
                patch.setattr(runtime, name, getattr(runtime, name))  # put back afterwards
            patch.setattr(sys, "argv", sys.argv)
            patch.setattr(runtime, "pull_task_input", lambda client: (message, context, run, fab))
            patch.setattr(
                runtime, "push_message", lambda client, message, context: self.pushed.append(message)
            )
            patch.setattr(runtime, "push_task_output", lambda **told: self.told.update(told))
            patch.setattr(runtime, "install_from_fab", lambda *_, **__: pytest.fail("a bundle was installed"))
            patch.setattr(runtime, "RuntimeHttpClient", _NoNetwork)
            patch.setattr(
                runtime, "HeartbeatSender", lambda _: SimpleNamespace(start=lambda: 0, is_running=False)
            )
            patch.setattr(runtime, "start_parent_process_monitor", lambda _: None)
            handlers: list[Callable[[], None]] = []
            patch.setattr(
                runtime, "register_signal_handlers", lambda **given: handlers.extend(given["exit_handlers"])
            )
            patch.setattr(runtime, "flwr_exit", lambda **_: [handler() for handler in handlers])
            arguments = ["--token", "t", "--insecure", "--allow-runtime-dependency-installation"]
            with acting_as(self.hospital.run.run_id, 41, 1):
                run_client_app(
                    arguments,
                    gatekeeper or Gatekeeper(self.home.folder, AppInThread(self.home)),
                    self.ended.append,
                )
        self.hospital.begin_run()

    def reply(self) -> RecordDict:
        (message,) = self.pushed
        return message.content

    def refusal(self) -> RefusalCode:
        said = RefusalReply.from_record(self.reply())
        assert said.site == "north"
        return said.code

    def receipts(self) -> tuple[Receipt, ...]:
        return verify(self.home.receipts, read_public_key(self.home.public_key)).receipts


class _NoNetwork:
    @classmethod
    def from_server_address(cls, **_: object) -> "_NoNetwork":
        return cls()

    def close(self) -> None:
        pass


@pytest.fixture
def node(hospital: "Hospital", monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(hospital, monkeypatch)


def statistics(node: Node) -> RecordDict:
    return StatisticsRequest(federation=node.hospital.federation.digest, fold=-1).to_record()


def test_an_approved_task_is_answered_and_recorded(node: Node) -> None:
    node.run("query.statistics", statistics(node))
    StatisticsReply.from_record(node.reply())
    request = node.hospital.request().to_record()
    node.run("train", request)
    TrainReply.from_record(node.reply())
    assert (node.told["details"], node.told["context"]) == ("", None)
    sent = node.reply()
    node.run("evaluate", request)
    EvaluateReply.from_record(node.reply())
    first, second, third = node.receipts()
    assert [first.message, second.message, third.message] == [
        "StatisticsReply",
        "TrainReply",
        "EvaluateReply",
    ]
    assert second.federation == node.hospital.federation.digest
    assert (second.verdict, second.round, second.sha256) == ("passed", 1, sent.object_id)
    assert second.size_bytes > 4 * sum(array.size for array in arrays_of(sent)["weights"].values())
    assert second.arrays["weights/heads.response.bias"] == (2,)
    assert second.numbers["metrics"]["training_loss"] >= 0  # with noise, cut off at 0
    assert second.update_norm is not None
    assert (second.epsilon_before, second.epsilon_after) == (None, None)


def test_a_run_that_does_not_say_what_the_coordinator_has_is_refused(node: Node) -> None:
    certificate, key = new_authority("coordinator")
    node.home.authority.write_bytes(certificate_bytes(certificate))
    name = fingerprint(read_public_key(node.home.public_key))
    messages: list[tuple[str, str]] = []

    def ask() -> RecordDict:
        statement = countersigned(Received.of(name, messages), key)
        request = StatisticsRequest(
            federation=node.hospital.federation.digest, fold=-1, countersignature=statement
        )
        node.run("query.statistics", request.to_record())
        return node.reply()

    node.run("query.statistics", statistics(node))
    assert node.refusal() == RefusalCode.REQUEST_INVALID
    StatisticsReply.from_record(ask())
    messages.append((node.receipts()[-1].run, node.reply().object_id))
    StatisticsReply.from_record(ask())
    messages.append(("8", "ab" * 32))
    ask()
    assert node.refusal() == RefusalCode.RECEIPTS_BEHIND
    assert [receipt.verdict for receipt in node.receipts()] == ["refused", "passed", "passed", "refused"]


def test_a_second_message_is_answered_from_what_the_first_kept(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.home.state.mkdir(mode=0o700)
    request = node.hospital.request().to_record()
    node.run("train", request)
    first = node.reply()
    close_sites()  # as in a new process
    for name in ("read_csv", "read_parquet"):
        monkeypatch.setattr(pandas, name, lambda *_, **__: pytest.fail("a table was read"))
    node.run("train", request)
    assert node.reply() == first
    (kept,) = node.home.cache.iterdir()
    assert CANARY.encode() not in kept.read_bytes()


def test_a_private_round_tells_what_it_cost(node: Node) -> None:
    node.hospital.federation = with_privacy(node.hospital.federation, PRIVACY)
    save(node.hospital.federation, node.hospital.folder / "federation.toml")
    node.approve()
    node.bundle = bundle(node.hospital.federation)
    for round_ in (1, 2):
        node.run("train", node.hospital.request(round=round_).to_record())
        TrainReply.from_record(node.reply())
    first, second = node.receipts()
    assert first.delta == second.delta == 1e-3
    assert first.epsilon_before == 0
    assert first.epsilon_after == second.epsilon_before
    assert 0 < (first.epsilon_after or 0) < (second.epsilon_after or 0)
    assert first.reservation != second.reservation
    assert first.numbers == {
        "metrics": {},
        "patients": dict.fromkeys(first.numbers["patients"], 1.0),
    }


def test_an_app_that_sets_the_ledger_back_with_its_copies_gets_nothing_out(node: Node) -> None:
    private(node)
    with Ledger(node.home.folder):
        files = [node.home.folder / LEDGER, *head_paths(node.home.folder)]
    before = [path.read_bytes() for path in files]
    node.run("train", node.hospital.request().to_record())
    TrainReply.from_record(node.reply())
    for path, content in zip(files, before, strict=True):
        path.write_bytes(content)
    node.run("train", node.hospital.request().to_record())
    assert node.refusal() == RefusalCode.LEDGER_INVALID


def allow(node: Node, **policy: int) -> None:
    node.hospital.site.site["policy"] = policy
    node.hospital.write()


class Unasked(AppInThread):
    """An app that must see no request."""

    def ask(self, *_: Any) -> RecordDict:
        pytest.fail("the app saw a request")


def test_refusals_are_counted_over_all_runs_and_then_all_alike(node: Node) -> None:
    """A refusal's code answers a question; so many are answered until the hospital approves again."""
    allow(node, maximum_refusals=3)
    honest = node.hospital.request()
    seed = honest.model_copy(update={"seed": 77}).to_record()
    late = honest.model_copy(update={"round": 999}).to_record()
    said = []
    for kind, content in (("train", seed), ("train", late), ("query.patients", RecordDict())):
        node.run(kind, content)
        said.append(node.refusal())
    assert said == [RefusalCode.INPUT_UNAPPROVED, RefusalCode.REQUEST_INVALID, RefusalCode.REQUEST_INVALID]
    contents = (("train", seed), ("train", honest.to_record()), ("query.statistics", statistics(node)))
    for kind, content in contents:
        node.run(kind, content, Gatekeeper(node.home.folder, Unasked(node.home)))
        assert node.refusal() is RefusalCode.DECLINED_REFUSALS
    with Ledger(node.home.folder) as ledger:
        assert refusals_since_approval(ledger.entries(), node.hospital.federation.digest) == 3
    node.approve()
    node.run("train", honest.to_record())
    TrainReply.from_record(node.reply())


@pytest.mark.attack
def test_whether_tables_satisfy_a_file_is_answered_so_often_and_no_more(
    node: Node, attack_row: Callable[[str, str, str], None]
) -> None:
    """The one refusal that depends on patients: a range of the file that somebody lies outside."""
    clinical = node.hospital.federation.modalities[0]
    asking = clinical.model_copy(update={"ranges": {"age": Plausible(low=0, high=60.5)}})
    rest = node.hospital.federation.modalities[1:]
    node.hospital.federation = node.hospital.federation.model_copy(update={"modalities": (asking, *rest)})
    save(node.hospital.federation, node.hospital.folder / "federation.toml")
    allow(node, maximum_refusals=2)
    node.approve()
    node.bundle = bundle(node.hospital.federation)
    codes = []
    for _ in range(4):
        node.run("query.statistics", statistics(node))
        codes.append(node.refusal())
    assert codes == [RefusalCode.COHORT_INVALID] * 2 + [RefusalCode.DECLINED_REFUSALS] * 2
    attack_row("whether a patient lies outside a range", "said 2 times, as the policy allows", "2 of 4")


@pytest.mark.attack
def test_an_app_that_refuses_in_code_is_cut_off(
    node: Node, attack_row: Callable[[str, str, str], None]
) -> None:
    """Any code of the app counts, also one that from the gate would tell nothing."""

    class Coding(AppInThread):
        def ask(self, *_: Any) -> RecordDict:
            return RefusalReply(site="north", code=RefusalCode.DECLINED_BUDGET).to_record()

    allow(node, maximum_refusals=2)
    codes = []
    for _ in range(3):
        node.run("query.statistics", statistics(node), Gatekeeper(node.home.folder, Coding(node.home)))
        codes.append(node.refusal())
    assert codes == [RefusalCode.DECLINED_BUDGET] * 2 + [RefusalCode.DECLINED_REFUSALS]
    attack_row("patients' values as codes of refusals", "said 2 times, as the policy allows", "2 of 3")


def test_what_the_gate_refuses_whoever_asks_does_not_count(node: Node) -> None:
    allow(node, maximum_refusals=1)
    node.version = "0.0.0"
    for _ in range(3):
        node.run("query.statistics", statistics(node))
        assert node.refusal() is RefusalCode.VERSION_MISMATCH
    node.version = version(PACKAGE)
    node.run("query.statistics", statistics(node))
    StatisticsReply.from_record(node.reply())


def test_a_refusal_that_cannot_be_counted_says_only_that(node: Node) -> None:
    honest = node.hospital.request()
    (node.home.folder / LEDGER).write_bytes(b"damaged")
    node.run("train", honest.model_copy(update={"seed": 77}).to_record())
    assert node.refusal() is RefusalCode.LEDGER_INVALID


def private(node: Node, **wire: str) -> None:
    """Agree on privacy, perhaps with an encoding of updates."""
    federation = node.hospital.federation
    sizes = {"patients": 100}
    named = tuple(one.model_copy(update=sizes) for one in federation.participants)
    node.hospital.federation = with_privacy(federation.model_copy(update={"participants": named}), PRIVACY)
    node.hospital.change(**wire)
    node.approve()
    node.bundle = bundle(node.hospital.federation)


def test_a_private_update_is_encoded_by_the_gate_from_its_own_steps(node: Node) -> None:
    private(node, wire__update="int8")
    node.home.state.mkdir(mode=0o700)
    for round_ in (1, 2):
        node.run("train", node.hospital.request(round=round_).to_record())
        UpdateReply.from_record(node.reply())
        assert node.receipts()[-1].message == "UpdateReply"
    assert node.home.residual.exists()


class Unnoised(AppInThread):
    """An app that answers a private round with a patient's values, in place of noised weights.

    Args:
        home: the site folder.
        steps: number of steps that it has the gate take.
        length: of the sum that it hands over for each.
    """

    def __init__(self, home: Home, steps: int, length: float) -> None:
        super().__init__(home)
        self._steps, self._length = steps, length

    def ask(self, request: BoundedRequest) -> RecordDict:
        steps = request.steps
        assert isinstance(steps, NoisedSteps)
        asked = ModelRequest.from_record(request.message.content)
        terms = PRIVACY
        release = Release(
            mechanism="training",
            noise_multiplier=terms.noise_multiplier,
            sampling_rate=terms.sampling_rate,
            steps=terms.steps,
        )
        with Ledger(self._home.folder) as ledger:
            ledger.reserve(asked.federation, asked.round, [release], Limit(None, 1e-3))
        for _ in range(self._steps):
            steps.take(np.full(steps.size, self._length / steps.size**0.5))
        weights = {name: array.copy() for name, array in asked.weights.items()}
        weights["heads.response.bias"][:] = (64.1, 10.18)
        patients = {group.name: 1.0 for group in read_approval(self._home).model_groups.groups}
        return TrainReply(
            site="north", round=asked.round, weights=weights, patients=patients, metrics={}
        ).to_record()


@pytest.mark.attack
@pytest.mark.parametrize(
    ("steps", "length"), [(0, 0.0), (1, 0.0), (2, 0.0), (1, 1e6)], ids=["none", "one", "too many", "too long"]
)
def test_an_app_cannot_leave_out_the_noise(
    node: Node, attack_row: Callable[[str, str, str], None], steps: int, length: float
) -> None:
    private(node)
    app = Unnoised(node.home, steps, length)
    node.run("train", node.hospital.request().to_record(), Gatekeeper(node.home.folder, app))
    assert node.refusal() is RefusalCode.GATE_BLOCKED
    (receipt,) = node.receipts()
    assert (receipt.verdict, receipt.reason) == ("blocked", "unnoised")
    attack_row("scores without noise under privacy", "blocked", f"{receipt.verdict}: {receipt.reason}")


NOISED = PRIVACY.model_copy(update={"statistics": "noised", "statistics_noise_multiplier": 1.0})


class UnnoisedSums(AppInThread):
    """An app that answers with other statistics than those of the gate's own noised sums.

    Args:
        home: the site folder.
        lengths: of the sums that it hands over, one after the other.
    """

    def __init__(self, home: Home, *lengths: float) -> None:
        super().__init__(home)
        self._lengths = lengths

    def ask(self, request: BoundedRequest) -> RecordDict:
        steps = request.steps
        federation = load(self._home.agreement)
        release = Release(mechanism="statistics", noise_multiplier=NOISED.statistics_noise_multiplier)
        with Ledger(self._home.folder) as ledger:
            ledger.reserve(federation.digest, None, [release], Limit(None, 1e-3))
        assert isinstance(steps, NoisedSums)
        for length in self._lengths:
            steps.take(np.full(steps.size, length / steps.size**0.5))
        family, exact = family_of(federation), np.full(steps.size, 12.0)
        moments = family.noised_statistics(exact, federation, 1e-9).moments
        withheld = dict.fromkeys(moments, 0.0)
        return StatisticsReply(site="north", patients=1, moments={**moments}, withheld=withheld).to_record()


def with_noised_statistics(node: Node) -> None:
    clinical, rna = node.hospital.federation.modalities
    ranges = {**clinical.ranges, "crp": Plausible(low=0, high=500)}
    modalities = (clinical.model_copy(update={"ranges": ranges}), rna)
    agreed = node.hospital.federation.model_copy(update={"modalities": modalities})
    node.hospital.federation = with_privacy(agreed, NOISED)
    save(node.hospital.federation, node.hospital.folder / "federation.toml")
    node.approve()
    node.bundle = bundle(node.hospital.federation)


def test_statistics_are_noised_at_the_gate(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    with_noised_statistics(node)
    taken: list[tuple[float, float]] = []
    take = NoisedSums.take

    def noted(self: NoisedSums, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        noised = take(self, sums)
        taken.append((float(np.linalg.norm(sums)), float(np.linalg.norm(noised - sums))))
        return noised

    monkeypatch.setattr(NoisedSums, "take", noted)
    node.run("query.statistics", statistics(node))
    StatisticsReply.from_record(node.reply())
    ((length, added),) = taken
    assert length > 0 < added
    assert node.receipts()[-1].verdict == "passed"


@pytest.mark.attack
@pytest.mark.parametrize(
    "lengths", [(), (1.0,), (1.0, 1.0), (1e6,)], ids=["none", "others", "twice", "too long"]
)
def test_an_app_cannot_leave_out_the_noise_of_statistics(
    node: Node, attack_row: Callable[[str, str, str], None], lengths: tuple[float, ...]
) -> None:
    with_noised_statistics(node)
    app = UnnoisedSums(node.home, *lengths)
    node.run("query.statistics", statistics(node), Gatekeeper(node.home.folder, app))
    assert node.refusal() is RefusalCode.GATE_BLOCKED
    (receipt,) = node.receipts()
    assert (receipt.verdict, receipt.reason) == ("blocked", "unnoised")
    attack_row("statistics without noise under privacy", "blocked", f"{receipt.verdict}: {receipt.reason}")


def test_an_encoded_update_is_recorded_as_it_left(node: Node) -> None:
    node.hospital.change(wire__update="int8")
    node.approve()
    node.bundle = bundle(node.hospital.federation)
    for round_ in (1, 2):
        node.run("train", node.hospital.request(round=round_).to_record())
        sent = node.reply()
        UpdateReply.from_record(sent)
        receipt = node.receipts()[-1]
        assert (receipt.message, receipt.verdict, receipt.round) == ("UpdateReply", "passed", round_)
        assert (receipt.sha256, receipt.size_bytes) == (weigh(sent)[1], weigh(sent)[0])
        levels = arrays_of(sent)["update"]["levels"]
        assert receipt.arrays == {"update/levels": levels.shape}
        assert 0 < receipt.size_bytes - levels.nbytes < 3000
        assert receipt.update_norm is not None
    assert stat.S_IMODE(node.home.residual.stat().st_mode) == 0o600


def asked(node: Node) -> list[AskedQuestion]:
    """All questions in the ledger."""
    with Ledger(node.home.folder) as ledger:
        return [entry.question for entry in ledger.entries() if entry.question is not None]


def foreign(code: str) -> bytes:
    """A bundle that would run code."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("pyproject.toml", '[tool.flwr.app.components]\nclientapp = "evil:app"')
        file.writestr("evil.py", code)
    return buffer.getvalue()


def test_a_foreign_bundle_is_neither_installed_nor_imported(node: Node, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    node.bundle = foreign(f"open({str(mark)!r}, 'w')")
    before = set(sys.modules)
    node.run("query.statistics", statistics(node))
    assert node.refusal() is RefusalCode.BUNDLE_FOREIGN
    assert not mark.exists()
    assert "evil" not in set(sys.modules) - before
    assert not asked(node)
    (receipt,) = node.receipts()
    assert (receipt.verdict, receipt.reason) == ("refused", "bundle-foreign")


def test_the_bundle_of_an_edited_federation_file_asks_for_approval_and_is_not_run(node: Node) -> None:
    other = node.hospital.federation.changed({"training.rounds": "7"})
    assert bundle_hash(other) != bundle_hash(node.hospital.federation)
    node.bundle = bundle(other)
    node.run("query.statistics", statistics(node))
    assert node.refusal() is RefusalCode.FEDERATION_MISMATCH
    assert not asked(node)


def test_a_run_of_another_version_is_refused(node: Node) -> None:
    node.version = "9.9.9"
    node.run("query.statistics", statistics(node))
    assert node.refusal() is RefusalCode.VERSION_MISMATCH


def test_an_approval_of_another_version_does_not_count(node: Node) -> None:
    approval = json.loads(node.home.approval.read_text())
    node.home.approval.write_text(json.dumps(approval | {"version": "0.0.1"}))
    node.run("query.statistics", statistics(node))
    assert node.refusal() is RefusalCode.VERSION_MISMATCH


@pytest.mark.parametrize("noted", [{"code": "0" * 64}, {"code": ""}])
def test_an_approval_of_other_files_does_not_count(node: Node, noted: dict[str, str]) -> None:
    approval = json.loads(node.home.approval.read_text())
    node.home.approval.write_text(json.dumps(approval | noted))
    node.run("query.statistics", statistics(node))
    assert node.refusal() is RefusalCode.CODE_CHANGED


def test_without_an_approval_nothing_runs(node: Node) -> None:
    node.home.approval.unlink()
    node.run("query.statistics", statistics(node))
    assert node.refusal() is RefusalCode.NOT_APPROVED


def test_a_copy_that_was_changed_after_approval_is_not_approved(node: Node) -> None:
    save(node.hospital.federation.changed({"training.rounds": "7"}), node.home.agreement)
    node.run("query.statistics", statistics(node))
    assert node.refusal() is RefusalCode.NOT_APPROVED


@pytest.mark.parametrize(
    "kind", ["query", "query.canary", "train.canary", "evaluate.more", "system", "reconnect"]
)
def test_a_message_of_another_type_is_refused(node: Node, kind: str) -> None:
    node.run(kind, node.hospital.request().to_record())
    assert node.refusal() is RefusalCode.REQUEST_INVALID


class Leaking(AppInThread):
    """An app that answers with more than it may."""

    def ask(self, *_: object) -> RecordDict:
        return RecordDict({CANARY: ConfigRecord({"patient": CANARY})})


class Failing(AppInThread):
    """A way to the app that fails."""

    def ask(self, *_: object) -> RecordDict:
        raise KeyError(CANARY)


def test_what_the_gate_holds_back_leaves_as_a_refusal(node: Node) -> None:
    node.home.residual.parent.mkdir(parents=True, exist_ok=True)
    node.home.residual.write_bytes(b"what is left of the update that is held back")
    node.run("train", node.hospital.request().to_record(), Gatekeeper(node.home.folder, Leaking(node.home)))
    assert node.refusal() is RefusalCode.GATE_BLOCKED
    assert not node.home.residual.exists()
    assert node.receipts()[-1].verdict == "blocked"
    assert CANARY not in repr(deflate(node.pushed[0]))


def test_an_exception_leaves_as_a_code(node: Node) -> None:
    node.run("train", node.hospital.request().to_record(), Gatekeeper(node.home.folder, Failing(node.home)))
    assert node.refusal() is RefusalCode.INTERNAL
    assert CANARY not in repr(node.told)


def test_without_a_receipt_nothing_leaves(node: Node) -> None:
    node.home.receipts.parent.mkdir()
    node.home.receipts.mkdir()  # not a file
    node.run("query.statistics", statistics(node))
    assert node.pushed == []
    assert node.ended[0] == 1  # before Flower is told of an end: it would wait for the reply for ever


def test_without_a_key_nothing_leaves(node: Node) -> None:
    node.home.key.unlink()
    node.run("query.statistics", statistics(node))
    assert node.pushed == []
    assert node.ended[0] == 1


def test_flower_is_told_a_fixed_sentence(node: Node) -> None:
    class Broken(Gatekeeper):
        def answer(self, message: Message, context: Context) -> Message:
            raise ValueError(CANARY)

    node.run("query.statistics", statistics(node), Broken(node.home.folder, AppInThread(node.home)))
    (reply,) = node.pushed
    assert reply.has_error()
    assert CANARY not in repr(reply)
    assert node.told["details"] == FAILED
    assert node.receipts()[-1].verdict == "failed"


def test_a_site_without_tables_says_so_by_a_code(node: Node) -> None:
    (node.hospital.folder / "clinical.csv").unlink()
    node.run("query.statistics", statistics(node))
    assert node.refusal() is RefusalCode.COHORT_INVALID
    (node.hospital.folder / "site.toml").write_text("name = 3")
    node.run("query.statistics", statistics(node))
    (message,) = node.pushed
    assert RefusalReply.from_record(message.content).code is RefusalCode.COHORT_INVALID


@contextmanager
def own_process(node: Node, *program: str) -> Iterator[Gatekeeper]:
    """A launcher with the site's app, or a program in its place, in a process of its own, ended with the context."""
    app = AppProcess(node.home.folder, program or APP)
    try:
        yield Gatekeeper(node.home.folder, app)
    finally:
        app.close()


def test_the_app_of_another_process_answers_as_here(node: Node) -> None:
    node.home.state.mkdir(mode=0o700)
    request = node.hospital.request().to_record()
    node.run("train", request)
    here = node.reply()
    with own_process(node) as gatekeeper:
        node.run("train", request, gatekeeper)
    assert node.reply() == here
    assert [receipt.sha256 for receipt in node.receipts()] == [here.object_id] * 2


@pytest.mark.parametrize(
    ("fault", "code", "verdict"),
    [
        ("killed", RefusalCode.INTERNAL, "refused"),
        ("silent", RefusalCode.INTERNAL, "refused"),
        ("half", RefusalCode.INTERNAL, "refused"),
        ("garbage", RefusalCode.GATE_BLOCKED, "blocked"),
        ("unreadable", RefusalCode.GATE_BLOCKED, "blocked"),
        ("long", RefusalCode.GATE_BLOCKED, "blocked"),
        ("twice", RefusalCode.GATE_BLOCKED, "blocked"),
        ("foreign", RefusalCode.GATE_BLOCKED, "blocked"),
    ],
)
def test_an_app_that_does_not_answer_once_and_properly(
    node: Node, monkeypatch: pytest.MonkeyPatch, fault: str, code: RefusalCode, verdict: str
) -> None:
    if fault == "silent":
        node.hospital.change(rounds__deadline_s="2")
        node.approve()
        node.bundle = bundle(node.hospital.federation)
    monkeypatch.setenv("PYTHONPATH", str(Path(tests.__path__[0]).parent))
    with own_process(node, "tests.client.runtime.faulty_app", fault) as gatekeeper:
        node.run("query.statistics", statistics(node), gatekeeper)
    assert node.refusal() is code
    (receipt,) = node.receipts()
    assert (receipt.message, receipt.verdict) == ("RefusalReply", verdict)
    assert CANARY not in repr(deflate(node.pushed[0]))


def test_an_approval_that_names_other_shapes_lets_no_weights_leave(node: Node) -> None:
    approval = json.loads(node.home.approval.read_text())
    approval["weights"]["heads.response.bias"] = [3]
    node.home.approval.write_text(json.dumps(approval))
    node.run("train", node.hospital.request().to_record(), Gatekeeper(node.home.folder, Leaking(node.home)))
    assert node.refusal() is RefusalCode.GATE_BLOCKED
    with pytest.raises(InputError):
        verify(node.home.folder / "none.jsonl", read_public_key(node.home.public_key))


def ledger_of(node: Node) -> list[str]:
    with Ledger(node.home.folder) as ledger:
        return [entry.kind for entry in ledger.entries()]


@pytest.mark.parametrize("is_private", [False, True])
def test_a_repeated_request_of_a_resumed_run_gets_the_same_bytes_and_costs_nothing(
    node: Node, is_private: bool
) -> None:
    """Flower's number of the run is another one; its name is the same."""
    if is_private:
        private(node)
    node.home.state.mkdir(mode=0o700, exist_ok=True)
    request = node.hospital.request(run="20270101-120000")
    node.run("train", request.to_record())
    first, paid = node.reply(), ledger_of(node)
    TrainReply.from_record(first)
    node.run("train", request.to_record(), Gatekeeper(node.home.folder, Unasked(node.home)))
    assert node.reply().object_id == first.object_id
    assert ledger_of(node) == paid
    once, again = node.receipts()[-2:]
    assert (once.again, again.again) == (False, True)
    assert once.run == again.run == "20270101-120000"
    assert (again.verdict, again.sha256, again.reservation) == ("passed", once.sha256, None)
    assert again.epsilon_before == again.epsilon_after == once.epsilon_after
    name = "branches.clinical.scores.response.weight"
    moved = {**request.weights, name: request.weights[name] + np.float32(1e-12)}
    node.run("train", request.model_copy(update={"weights": moved}).to_record())
    assert node.refusal() in (RefusalCode.ROUND_ANSWERED, RefusalCode.INPUT_UNAPPROVED)


def test_the_same_round_with_other_weights_is_refused_by_name(node: Node) -> None:
    node.home.state.mkdir(mode=0o700, exist_ok=True)
    for number in (1, 2):
        node.run("train", node.hospital.request(run="a", round=number).to_record())
        TrainReply.from_record(node.reply())
    request = node.hospital.request(run="a", round=2)
    name = "branches.clinical.scores.response.weight"
    moved = {**request.weights, name: request.weights[name] + np.float32(1e-3)}
    node.run("train", request.model_copy(update={"weights": moved}).to_record())
    assert node.refusal() == RefusalCode.ROUND_ANSWERED


def test_nothing_leaves_that_could_not_be_kept(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise InputError("the disk", "is full", "make room")

    request = node.hospital.request(run="a").to_record()
    monkeypatch.setattr("client.runtime.gatekeeper.KeptReply.keep", full)
    node.run("train", request)
    assert node.pushed == []
    assert node.ended[0] == 1
    assert not node.home.receipts.exists()
