"""Report of a run at a hospital, for its terminal and page alone.

It has figures of groups with at least five records of either outcome, and neither a record nor a date of one.
"""

from collections import Counter
from datetime import date, datetime

from pydantic import BaseModel, ConfigDict

from client.prediction.beside import ModelsBeside
from client.prediction.judging import RecordsJudgement
from client.prediction.predictor import predictor_of
from client.receipts.page import KINDS, read_receipts
from client.receipts.receipt import Receipt
from client.reports.own_model import own_model
from client.reports.own_patients import OwnBaselineRow, own_baseline
from client.rounds.assembly import SharedAgreement, SiteSources, assemble_site
from client.rounds.kept_model import kept_runs, read_kept_model
from client.rounds.site import Site
from client.site_folder.places import Home
from client.site_folder.releases import open_adopted, read_adoptions
from common.agreement.labels import task_label
from common.assessment.part import Whose
from common.errors import InputError, OptionError, Refusal, StateError, refusal_text
from common.prediction.network import Network, network_of, released_network
from common.validation.net_benefit import THRESHOLDS


class AnsweredKind(BaseModel):
    """Answers of one kind in a run, by the hospital's own receipts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    message: str
    passed: int
    others: dict[str, int]
    rounds: tuple[int, ...]


class SiteReport(BaseModel):
    """Report of a run at a hospital.

    Attributes:
        site, federation, digest: names, and SHA-256 of the approved federation file.
        run: Flower's number of the run, as in the receipts; None where it is not known.
        version: of the release whose model was judged; None for the model that the run kept.
        made: day of the report.
        whose: words for the judged patients; empty where nobody was held out.
        records: their number.
        unit: plural of what is counted.
        tasks: name -> label.
        beside: the hospital's own model and the federated one on these patients; empty without an own model.
        judgement: of the federated model; None where nobody was held out.
        answers: what left in this run, by receipts.
        baseline: the hospital's own training patients beside those of all hospitals; empty where there are none.
        notes: sentences on what is missing and why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    site: str
    federation: str
    digest: str
    run: str | None
    version: str | None
    made: date
    whose: str
    records: int
    unit: str
    tasks: dict[str, str]
    beside: tuple[ModelsBeside, ...]
    judgement: RecordsJudgement | None
    answers: tuple[AnsweredKind, ...]
    baseline: tuple[OwnBaselineRow, ...]
    notes: tuple[str, ...]


def site_report(home: Home, run: int | None = None, is_own: bool = True) -> SiteReport:
    """Make the report of a run.

    Args:
        home: the site folder.
        run: Flower's number of the run; None for the last one whose model is here, or else the adopted release.
        is_own: whether the hospital's own model is trained and judged beside the federated one.

    Raises:
        InputError: if there is no model to judge, the federation file is not approved, or tables cannot be read.
    """
    site = assemble_site(SiteSources(home.folder, home.agreement), SharedAgreement(home.agreement))
    network, run, version = _federated(home, site, run)
    agreement, words = site.federation, site.family.words(site.federation)
    notes: list[str] = []
    beside: tuple[ModelsBeside, ...] = ()
    judgement, whose, records = None, "", 0
    if agreement.privacy is not None:
        notes.append(
            f"Under differential privacy all {words.plural} trained the model: nobody was held out on whom it, or the "
            f"hospital's own, could be judged. Judge an adopted release on later {words.plural} with `consilium "
            "validate`."
        )
    else:
        split = site.split_indices(-1)
        kind = Whose.TEST if agreement.training.test_fraction else Whose.HELD_OUT
        judged = site.cohort.records.select(split.of(kind))
        records, whose = len(judged), _whose(kind, words.plural)
        predictor = predictor_of(agreement)
        judgement = predictor.validated(network, judged, [], THRESHOLDS, site.cohort.site)
        if is_own:
            try:
                beside = tuple(predictor.beside(own_model(site, home.agreement.parent), network, judged))
            except (InputError, Refusal) as error:
                reason = refusal_text(error) if isinstance(error, Refusal) else str(error)
                notes.append(f"The hospital has no model of its own to compare. {reason}")
        else:
            notes.append("The hospital's own model was not trained; leave out --no-own for the comparison.")
    answers, unreadable = _answers(home, run, site.digest)
    return SiteReport(
        site=site.cohort.site,
        federation=agreement.name,
        digest=site.digest,
        run=None if run is None else str(run),
        version=version,
        made=datetime.now().astimezone().date(),
        whose=whose,
        records=records,
        unit=words.plural,
        tasks={name: task_label(agreement, name) for name in agreement.task_names},
        beside=beside,
        judgement=judgement,
        answers=answers,
        baseline=own_baseline(site, network.preprocessing),
        notes=(*notes, *unreadable),
    )


def _whose(kind: Whose, words: str) -> str:
    if kind is Whose.TEST:
        return f"test {words}, who neither trained a model nor helped to choose one"
    return (
        f"held-out {words}: they trained neither model, and some of them helped to choose the round of both"
    )


def _federated(home: Home, site: Site, run: int | None) -> tuple[Network, int | None, str | None]:
    """Return the federated network, the run and the version of the release that it comes from."""
    runs = kept_runs(home)
    if run is not None and run not in runs:
        names = ", ".join(map(str, runs[-3:])) or "none"
        what = "is no run whose model is kept here"
        raise OptionError(
            f"run {run}", what, f"the last ones are {names}; or adopt the run's release and name no run"
        )
    for number in [run] if run is not None else reversed(runs):
        kept = None if number is None else read_kept_model(home, number)
        if kept is not None and kept.federation == site.digest:
            where, remedy = f"the kept model of run {kept.run}, ", "adopt the release of the run"
            folder = home.agreement.parent
            network = network_of(site.federation, folder, kept.weights, kept.preprocessing, where, remedy)
            return network, kept.run, None
    if run is not None:
        raise StateError(
            f"run {run}", "is of another federation file than the approved one", "name another run"
        )
    if read_adoptions(home).current is not None:
        release = open_adopted(home)
        if release.manifest.federation == site.digest:
            return released_network(release), None, release.version
    what = "has no model of a run of the approved federation file"
    remedy = "wait until a run has ended with its assessment, or adopt its release by `consilium site adopt`"
    raise StateError(str(home.folder), what, remedy)


def _answers(home: Home, run: int | None, digest: str) -> tuple[tuple[AnsweredKind, ...], list[str]]:
    """Count what left in a run, or under the federation file where no run is known."""
    try:
        receipts = read_receipts(home).receipts
    except (InputError, Refusal):
        return (), ["The receipts cannot be verified just now; `consilium site receipts` says why."]
    ours = [receipt for receipt in receipts if _is_of(receipt, run, digest)]
    kinds: dict[str, list[Receipt]] = {}
    for receipt in ours:
        kinds.setdefault(receipt.asked, []).append(receipt)
    return tuple(_counted(of_kind) for of_kind in kinds.values()), []


def _is_of(receipt: Receipt, run: int | None, digest: str) -> bool:
    return receipt.federation == digest if run is None else receipt.run == str(run)


def _counted(receipts: list[Receipt]) -> AnsweredKind:
    passed = [receipt for receipt in receipts if receipt.verdict == "passed"]
    others = Counter(
        f"{receipt.verdict}: {receipt.reason}" for receipt in receipts if receipt.verdict != "passed"
    )
    message = passed[0].message if passed else receipts[0].message
    rounds = sorted({receipt.round for receipt in passed if receipt.round is not None})
    return AnsweredKind(
        message=KINDS.get(message, message), passed=len(passed), others=dict(others), rounds=tuple(rounds)
    )
