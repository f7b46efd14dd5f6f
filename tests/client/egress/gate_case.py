"""A real exchange with a hospital's app, and the gate that stands in between."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from flwr.app import Message, RecordDict

from client.app import answered
from client.egress.cohort import count_cohort
from client.egress.expected import BlockReason
from client.egress.gate import Gate, Verdict
from client.ledger.entries import Entry
from client.ledger.ledger import LEDGER, Ledger
from client.privacy.noise import NoisedSteps, NoisedSums
from client.rounds.assembly import SharedAgreement, SiteSources, assemble_site
from client.site_folder.policy import Policy
from client.site_folder.site_file import parse_site_file
from common.agreement.federation import save
from common.agreement.modalities import Plausible
from common.agreement.privacy_settings import Privacy
from common.errors import RefusalCode
from common.messages.exchange import ASSESSMENT, RefusalReply, StatisticsRequest
from common.messages.statistics import SiteStatistics
from common.models.registry import build_model
from common.privacy.planning import with_privacy
from simulations.engines.flower_internals import acting_as, deflate, inflate, name_message

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

PRIVACY = Privacy(noise_multiplier=2.0, sampling_rate=0.5, expected_batch_size=6, steps=2, learn="all")
CANARY = "CANARY-8371"
NUMBER = 98765.4321


@dataclass(repr=False)
class Exchange:
    """A request, the app's real reply to it, and the gate that stood there in between."""

    hospital: "Hospital"
    gate: Gate
    request: Message
    reply: Message

    def check(self, content: RecordDict | None = None) -> Verdict:
        """The verdict on the app's reply, or on another content in its place, over Flower's wire format."""
        reply = self.reply if content is None else Message(content, reply_to=self.request)
        name_message(reply, "2")
        return self.gate.check(self.request, inflate(deflate(reply)))

    def content(self) -> RecordDict:
        """The app's content, to be spoilt."""
        return inflate(deflate(self.reply)).content

    def blocked(self, content: RecordDict | None = None) -> BlockReason:
        """Why it is held back; what leaves is then the refusal, and nothing of the content."""
        verdict = self.check(content)
        assert verdict.outcome == "blocked"
        said = RefusalReply.from_record(verdict.message.content)
        assert (said.site, said.code) == ("north", RefusalCode.GATE_BLOCKED)
        return BlockReason(verdict.reason)


def entries_of(hospital: "Hospital") -> Callable[[], tuple[Entry, ...]]:
    def read() -> tuple[Entry, ...]:
        if not (hospital.folder / LEDGER).exists():
            return ()
        with Ledger(hospital.folder) as ledger:
            return ledger.entries()

    return read


def gate_of(hospital: "Hospital", **policy: Any) -> Gate:
    model = build_model(hospital.federation, hospital.folder, seed=0)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    federation, groups, entries = hospital.federation, model.groups(), entries_of(hospital)
    cohort = partial(count_cohort, hospital.folder, parse_site_file(hospital.folder), federation)

    def sums(least: int) -> SiteStatistics:
        sources = SiteSources(hospital.folder, hospital.folder / "federation.toml")
        site = assemble_site(sources, SharedAgreement(sources.agreement))
        return site.family.statistics(site.split_records(-1)[0], federation, least)

    residual = hospital.folder / "residual.safetensors"
    few = Policy(**({"minimum_count": 1} | policy))
    return Gate(federation, few, "north", shapes, groups, cohort, sums, entries, residual)


def exchange(hospital: "Hospital", kind: str, **policy: Any) -> Exchange:
    statistics = StatisticsRequest(federation=hospital.federation.digest, fold=-1)
    if kind == ASSESSMENT:
        part = "counting" if hospital.federation.privacy is None else "explanations"
        content = hospital.assessment(part).to_record()
    else:
        content = (statistics if kind == "query.statistics" else hospital.request()).to_record()
    request, gate = hospital.message(kind, content), gate_of(hospital, **policy)
    with acting_as(hospital.run.run_id, 41, 1):
        begun = gate.begin_noise(request)
        steps = (lambda *_: begun) if isinstance(begun, NoisedSteps) else None
        noise = begun if isinstance(begun, NoisedSums) else None
        reply = answered(kind, request.content, hospital.context, steps, noise)
        return Exchange(hospital, gate, request, Message(reply, reply_to=request))


def private(hospital: "Hospital", **changes: Any) -> "Hospital":
    clinical, rna = hospital.federation.modalities
    ranges = {**clinical.ranges, "crp": Plausible(low=0, high=500)}
    modalities = (clinical.model_copy(update={"ranges": ranges}), rna)
    agreed = hospital.federation.model_copy(update={"modalities": modalities})
    hospital.federation = with_privacy(agreed, PRIVACY.model_copy(update=changes))
    save(hospital.federation, hospital.folder / "federation.toml")
    return hospital


def assert_quiet(verdict: Verdict) -> None:
    """Neither the name nor the number is on the wire, as text or as a number of 4 or 8 bytes."""
    name_message(verdict.message, "3")
    _, _, parts = deflate(verdict.message)
    wire = b"".join(parts.values())
    signs = [struct.pack(kind, NUMBER) for kind in ("<f", "<d", ">f", ">d")]
    assert not any(sign in wire for sign in (CANARY.encode(), str(NUMBER).encode(), *signs))
