"""A run's records as sentences for the person who follows it."""

from common.agreement.agreement import Agreement
from common.agreement.reach import USUAL_REACH, widest_round
from common.counting import are, counted
from common.errors import REFUSALS, RefusalCode
from common.models.activity import shortfalls
from server.records.concordance import concordance_of_round
from server.records.dropped import ERRORS, REASONS, Dropped, DropReason
from server.records.journal import UNFINISHED, AssessmentRecord, RoundRecord, RunRecord


def exchange_line(record: RoundRecord, federation: Agreement) -> str:
    """One exchange: who replied, what the model is like, and who is missing and why."""
    of = f" of {federation.training.rounds}" if record.kind == "train" else ""
    head = f"round {record.round}{of}" if record.kind == "train" else "evaluation"
    parts = [f"{counted(len(record.sites), 'hospital')} in {record.seconds:.1f} s"]
    if record.training_loss is not None:
        parts.append(f"training loss {record.training_loss:.4g}")
    if record.validation_loss is not None:
        parts.append(f"validation loss {record.validation_loss:.4g}")
    parts += [_concordance(record, task, federation) for task in record.concordance]
    if not record.applied:
        parts.append(f"not counted, {counted(federation.quorum, 'hospital')} {are(federation.quorum)} needed")
    parts += [left_out(hospital) for hospital in record.dropped]
    return f"{head}: {'; '.join(parts)}"


def _concordance(record: RoundRecord, task: str, federation: Agreement) -> str:
    """Write a task's concordance with its interval and the validation patients behind it."""
    estimate, patients, _ = concordance_of_round(record, task, federation)
    if estimate.value is None:
        return f"{task} concordance {record.concordance[task]:.3f}"
    return f"{task} concordance {estimate.text(3)} of {counted(patients, 'validation patient')}"


def assessment_line(record: AssessmentRecord) -> str:
    """Say who answered a question of the assessment, and who did not and why."""
    patients = counted(sum(site.patients for site in record.sites.values()), "patient")
    parts = [f"{counted(len(record.sites), 'hospital')}, {patients} in {record.seconds:.1f} s"]
    parts += [left_out(hospital) for hospital in record.dropped]
    question = f" {record.number + 1}" if record.number else ""
    return f"assessment, {record.part}{question}: {'; '.join(parts)}"


def run_line(record: RunRecord, federation: Agreement) -> str:
    """Say with whom a run started, or how it ended."""
    everyone = len(federation.participants)
    if record.status in UNFINISHED:
        take, names = "takes" if len(record.sites) == 1 else "take", ", ".join(record.sites) or "none"
        if record.status == "resumed":
            who_goes_on = f"{counted(len(record.sites), 'hospital')}: {names}"
            return f"The run goes on after round {record.rounds} with {who_goes_on}."
        return f"{len(record.sites)} of {counted(everyone, 'hospital')} {take} part: {names}."
    if record.status == "failed":
        return (
            f"The run failed: {len(record.sites)} of {counted(everyone, 'hospital')} took part and {federation.quorum} "
            f"{are(federation.quorum)} needed in every round."
        )
    loss = "" if record.best_loss is None else f", validation loss {record.best_loss:.4g}"
    how = "every round had its quorum" if record.status == "completed" else "some rounds lacked a quorum"
    return f"The run is {record.status}: {how}; kept are the weights of round {record.best_round}{loss}."


def weights_line(federation: Agreement) -> str:
    """Say by what hospitals weigh in averages."""
    if federation.privacy is not None:
        return "Hospitals weigh alike in averages, as privacy demands."
    reach = _reach(federation)
    if federation.declared_patients is None:
        return (
            "Hospitals weigh alike in averages, because the federation file declares no sizes; "
            "give every participant its patients to weigh them by their numbers."
        ) + reach
    return "Hospitals weigh by their training patients in averages, up to the declared sizes." + reach


def _reach(federation: Agreement) -> str:
    """Sentence on rounds that move weights further than hospitals usually permit; else empty."""
    reach = widest_round(federation)
    if reach <= USUAL_REACH:
        return ""
    return (
        f" A round may move a weight by {reach:.2g}, and hospitals decline more than {USUAL_REACH:g} without privacy "
        "unless their policy says otherwise: declare the patients of all participants, take larger batches, fewer "
        "epochs or a lower learning rate."
    )


def missing(record: RunRecord, federation: Agreement) -> list[str]:
    """Name the hospitals that are missing at the start of a run, with their reasons."""
    if record.status not in UNFINISHED or not record.left_out:
        return []
    absent = [
        participant.name for participant in federation.participants if participant.name not in record.sites
    ]
    everyone = counted(len(federation.participants), "hospital")
    head = [f"{len(absent)} of {everyone} {are(len(absent))} missing:"] if absent else []
    return head + [f"  {left_out(hospital)}" for hospital in record.left_out]


def idle(record: RunRecord) -> list[str]:
    """Warn of parts of the kept model that take little part in its predictions."""
    below = [] if record.activity is None else shortfalls(record.activity)
    if not below:
        return []
    parts = "; ".join(shortfall.text for shortfall in below)
    return [
        f"Warning: on made-up patients, parts of the kept model have hardly any effect ({parts}); do not read its "
        "edges and pathways as findings, and compare it with a linear model before it is used."
    ]


def left_out(dropped: Dropped) -> str:
    """Name a hospital or node without a part, with the reason."""
    return f"{who(dropped)} {why(dropped)}"


def who(dropped: Dropped) -> str:
    """A hospital by name, or a node by number."""
    return dropped.site if dropped.site is not None else f"node {dropped.node}"


def why(dropped: Dropped) -> str:
    """Say why a hospital was left out: the reason, or the hospital's refusal."""
    if dropped.reason is DropReason.REFUSED and dropped.code in {code.value for code in RefusalCode}:
        return f"refused ({dropped.code}): {REFUSALS[RefusalCode(dropped.code)]}"
    code = "" if dropped.code is None else f" {dropped.code}"
    is_error = dropped.reason is DropReason.ERROR
    reason = ERRORS.get(dropped.code or "", REASONS[dropped.reason]) if is_error else REASONS[dropped.reason]
    return f"({dropped.reason.value}{code}): {reason}"
