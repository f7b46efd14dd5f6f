"""Gatekeeper of one task, between Flower and the hospital's app.

Before anything runs, the task is held against what the hospital approved: its copy of the federation file, the hash of
the only bundle that goes with it, and the installed package. Nothing of a bundle is ever installed or imported. The app
is the installed `client.app` in a process of its own (`client.runtime.app_link`), which sees the content of the request
and neither the SuperNode's token nor the node key. What it answers passes the gate, and leaves only after its receipt
is on disk. Whatever fails leaves as a code. A request that was answered before gets the same bytes again, and the app
sees nothing of it (`client.rounds.kept_reply`).
"""

import hashlib
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from threading import Thread

from flwr.app import Context, Message, RecordDict

from client.egress.cohort import count_cohort
from client.egress.expected import BlockReason
from client.egress.gate import APPROVED_TYPES, Gate, Verdict, failure_reply, refusal
from client.flower.internals import AppTask
from client.flower.to_coordinator import largest_request
from client.ledger.asked import UNCOUNTED
from client.ledger.entries import Entry
from client.ledger.heads import write_gate_head
from client.ledger.ledger import LEDGER, Ledger
from client.privacy.noise import NoiseError
from client.receipts.book import append_receipt
from client.receipts.countersigned import check_countersignature
from client.receipts.from_verdict import finite_epsilon, receipt_of
from client.rounds.kept_reply import KeptReply
from client.runtime.app_link import BoundedRequest, Link
from client.runtime.channel import ChannelError, SilentError
from client.site_folder.approved_intake import require_approved_intake
from client.site_folder.keys import read_key
from client.site_folder.places import Approval, Home, read_approval
from client.site_folder.policy import USUAL_REFUSALS
from client.site_folder.site_file import SiteFile, parse_site_file
from common.agreement.agreement import Agreement
from common.agreement.bundle import PACKAGE, bundle_hash, digest_in
from common.agreement.loading import load_agreement
from common.errors import ApprovalError, InputError, Refusal, RefusalCode
from common.installed_code import code_hash
from common.lifetime.full_disk import lack_of_room
from common.messages.exchange import STATISTICS, InvalidMessageError
from common.messages.inflating import largest_message
from common.messages.statistics import SiteStatistics
from common.privacy.accounting import Release
from common.processes.superexec import tell_work

log = logging.getLogger("consilium.gatekeeper")


class Gatekeeper:
    """Stands between Flower and the hospital's app for one task.

    Args:
        folder: the site folder.
        app: way to the app.
    """

    def __init__(self, folder: Path, app: Link) -> None:
        self.home, self._app = Home(folder.resolve()), app
        self._refusal: RefusalCode | None = RefusalCode.INTERNAL  # until a task was admitted
        self._request: Message | None = None
        self._agreed: tuple[Agreement, Approval] | None = None
        self._gate: Gate | None = None
        self._breach: BlockReason | None = None
        self._accountant: Thread | None = None
        self._kept: KeptReply | None = None
        self._again: RecordDict | None = None
        self._one_at_a_time = ExitStack()

    def allowed(self) -> int:
        """Most bytes that a request may take, by the model that was approved."""
        return largest_request(self.home)

    def admit(self, task: AppTask) -> None:
        """Decide whether the task may run at all; never raises."""
        self._request = task.message
        kind = task.message.metadata.message_type
        tell_work(kind if kind in APPROVED_TYPES else "unknown")
        try:
            self._refusal = self._objection(task)
        except Exception as error:
            self._refusal = _code_of(error)

    def _objection(self, task: AppTask) -> RefusalCode | None:
        try:
            federation, approval = load_agreement(self.home.agreement), read_approval(self.home)
        except InputError as error:
            log.warning("%s", error)
            return RefusalCode.NOT_APPROVED
        if federation.digest != approval.federation:
            return RefusalCode.NOT_APPROVED
        try:
            require_approved_intake(self.home, approval)
        except ApprovalError as error:
            log.warning("%s", error)
            return RefusalCode.NOT_APPROVED
        self._agreed = federation, approval
        installed = version(PACKAGE)
        if approval.version != installed or task.bundle_version != installed:
            return RefusalCode.VERSION_MISMATCH
        if approval.code != code_hash():
            return RefusalCode.CODE_CHANGED
        if not hashlib.sha256(task.bundle).hexdigest() == task.bundle_hash == bundle_hash(federation):
            return _stranger(task.bundle)
        if task.message.metadata.message_type not in APPROVED_TYPES:
            return RefusalCode.REQUEST_INVALID
        return None

    def answer(self, message: Message, context: Context) -> Message:
        """Answer an admitted task by the app; refuse any other, and if anything fails."""
        if self._refusal is None:
            try:
                return self._answered(message, context)
            except Exception as error:
                self._refusal = _code_of(error)
        log.warning("refused: %s", self._refusal)
        return refusal(message, "", self._refusal)

    def _answered(self, message: Message, context: Context) -> Message:
        assert self._agreed is not None
        federation, approval = self._agreed
        site = parse_site_file(self.home.folder)
        self._gate = gate = self._new_gate(site, federation, approval)
        if (code := gate.objection(message)) is not None:
            raise Refusal(code)
        if message.metadata.message_type == STATISTICS:
            check_countersignature(self.home, message.content["header"].get("countersignature"))
        self._kept = KeptReply(
            self.home, message.metadata.message_type, message.content, message.metadata.run_id
        )
        self._one_at_a_time.enter_context(self._kept.exclusively())
        if (again := self._kept.find()) is not None:
            log.info("the request was answered before: the same reply leaves again")
            self._again = again
            return Message(again, reply_to=message)
        self._gate = gate = self._new_gate(
            site, federation, approval
        )  # the ledger, now that nobody else answers
        longest, longest_s = largest_message(approval.weights), federation.rounds.deadline_s
        try:
            steps = gate.begin_noise(message)
            if federation.privacy is not None:
                self._foresee(gate.foreseen(message), site.policy.delta)
            content = self._app.ask(BoundedRequest(context.run_id, message, longest, longest_s, steps))
        except InvalidMessageError:
            raise Refusal(RefusalCode.REQUEST_INVALID) from None
        except (ChannelError, NoiseError) as error:
            log.error("the app sent something else than one answer to what it was asked")
            noise = isinstance(error, NoiseError)
            self._breach = BlockReason.UNNOISED if noise else BlockReason.NOT_A_MESSAGE
            raise Refusal(RefusalCode.GATE_BLOCKED) from None
        except SilentError:
            log.error("the app ended, or did not answer within %g seconds", longest_s)
            raise Refusal(RefusalCode.INTERNAL) from None
        return Message(content, reply_to=message)

    def _new_gate(self, site: SiteFile, federation: Agreement, approval: Approval) -> Gate:
        return Gate(
            federation,
            site.policy,
            site.name,
            approval.weights,
            approval.model_groups,
            partial(count_cohort, self.home.folder, site, federation),
            self._statistics,
            self._entries,
            self.home.residual,
        )

    def _foresee(self, accounts: Sequence[Sequence[Release]], delta: float) -> None:
        """Compute the epsilons of the receipt while the app works, which then costs no time."""
        self._accountant = Thread(
            target=lambda: [finite_epsilon(account, delta) for account in accounts], daemon=True
        )
        self._accountant.start()

    def release(self, message: Message) -> Message:
        """Return the message that leaves in place of a reply.

        It is kept, and its receipt is on disk.

        Raises:
            Exception: if either cannot be written; nothing may leave then.
        """
        with self._one_at_a_time:
            return self._released(message)

    def _released(self, message: Message) -> Message:
        assert self._request is not None
        verdict = self._counted(self._request, self._verdict(self._request, message))
        if verdict.outcome == "blocked":
            log.error("the gate held a message back: %s", verdict.reason)
            self.home.residual.unlink(
                missing_ok=True
            )  # what was held back does not leave with a later update either
        digest, delta = "", None
        if self._agreed is not None:
            federation, _ = self._agreed
            digest = federation.digest
            if self._gate is not None and federation.privacy is not None:
                delta = parse_site_file(self.home.folder).policy.delta
        try:
            entries = self._entries()
        except Refusal:  # the gate has seen that too, and has held back what needs the ledger
            entries, delta = (), None
        if self._accountant is not None:
            self._accountant.join()
        receipt = receipt_of(self._request, verdict, digest, entries, delta, is_again=self._again is not None)
        try:
            if verdict.outcome == "passed" and self._kept is not None and self._again is None:
                self._kept.keep(verdict.message.content)
            append_receipt(self.home.receipts, receipt, read_key(self.home.key))
            write_gate_head(self.home.folder, entries)
        except (InputError, OSError) as error:
            log.error("nothing leaves without a receipt: %s", error)
            raise
        return verdict.message

    def _verdict(self, request: Message, reply: Message) -> Verdict:
        if self._again is not None and self._refusal is None:
            return Verdict("passed", Message(self._again, reply_to=request))
        if self._gate is not None and self._refusal is None:
            return self._gate.check(request, reply)
        if reply.has_error():
            return failure_reply(request)
        code = self._refusal or RefusalCode.INTERNAL  # whatever the message says, this is what leaves
        if self._breach is not None:
            return Verdict("blocked", refusal(request, self._name(), code), self._breach)
        return Verdict("refused", refusal(request, self._name(), code), code)

    def _counted(self, request: Message, verdict: Verdict) -> Verdict:
        """Count a refusal that tells something; one too many gets the code that all such have."""
        if verdict.outcome == "passed" or self._agreed is None:
            return verdict
        by_gate = self._refusal is not None and verdict.outcome == "refused"
        if by_gate and verdict.reason in UNCOUNTED:
            return verdict
        federation, _ = self._agreed
        try:
            most = parse_site_file(self.home.folder).policy.maximum_refusals
        except InputError:  # a site.toml that is not usable sets no limit of its own
            most = USUAL_REFUSALS
        try:
            with Ledger(self.home.folder) as ledger:
                if ledger.refuse(federation.digest, most):
                    return verdict
            code = RefusalCode.DECLINED_REFUSALS
        except Refusal as uncounted:
            code = uncounted.code
        return replace(verdict, outcome="refused", message=refusal(request, self._name(), code), reason=code)

    def _name(self) -> str:
        try:
            return parse_site_file(self.home.folder).name
        except InputError:
            return ""

    def _statistics(self, least: int) -> SiteStatistics:
        """Compute the tables' sums.

        Torch and pandas are imported for the one message of a run that needs them.
        """
        from client.runtime.own_statistics import own_statistics

        return own_statistics(self.home, least)

    def _entries(self) -> Sequence[Entry]:
        """Read the ledger's entries; none where there is no ledger yet."""
        path = self.home.folder / LEDGER
        if not path.exists() or not path.stat().st_size:
            return ()
        with Ledger(self.home.folder) as ledger:
            return ledger.entries()


def _stranger(bundle: bytes) -> RefusalCode:
    """Code of a bundle that is not the approved one: of another federation file, or foreign."""
    digest = digest_in(bundle)
    if digest is None:
        return RefusalCode.BUNDLE_FOREIGN
    log.warning(
        "the run is for the federation file %s, which is not the approved one: approve the new file", digest
    )
    return RefusalCode.FEDERATION_MISMATCH


def _code_of(error: Exception) -> RefusalCode:
    if isinstance(error, Refusal):
        return error.code
    log.warning("%s", error if isinstance(error, InputError) else type(error).__name__)
    if lack_of_room(error) is not None:
        return RefusalCode.DISK_FULL
    return RefusalCode.COHORT_INVALID if isinstance(error, InputError) else RefusalCode.INTERNAL
