"""Hospitals without a part in a run, with the cause that the run's journal gives."""

from collections.abc import Mapping, Sequence

from common.errors import REFUSALS, RefusalCode
from server.records.dropped import ERRORS, REASONS, Dropped, DropReason
from server.records.journal import JournalRecord, RoundRecord, RunRecord
from simulations.engines.flower_internals import Failure, first_node_id
from simulations.results.reasons import Absent, Cause

_CRASHED = "The process that answered for the hospital ended or was killed."


def absences(
    records: Sequence[JournalRecord], hospitals: Sequence[str], arm: str = "federated"
) -> tuple[Absent, ...]:
    """Hospitals that a run, or some of its exchanges, went without.

    A hospital that gave no update in any round had no part in the run.

    Args:
        records: journal of the run.
        hospitals: names in the order of the run's nodes.
        arm: of the run.
    """
    runs = [record for record in records if isinstance(record, RunRecord)]
    if not runs or not (runs[-1].sites or runs[-1].left_out):  # it failed before anybody was asked
        return ()
    rounds = [record for record in records if isinstance(record, RoundRecord)]
    gone = dict(_left_out(runs[-1], hospitals))
    taught = {site for record in rounds if record.kind == "train" for site in record.sites}
    missed: dict[tuple[str, Cause], list[int]] = {}
    for record in rounds:
        for dropped in record.dropped:
            if dropped.site is not None and dropped.site in taught:
                missed.setdefault((dropped.site, cause_of(dropped)), []).append(record.round)
            elif dropped.site is not None:
                gone[dropped.site] = cause_of(dropped)
    absent = [Absent(site=site, arm=arm, **cause.model_dump()) for site, cause in gone.items()]
    absent += [
        Absent(site=site, arm=arm, rounds=tuple(numbers), **cause.model_dump())
        for (site, cause), numbers in sorted(missed.items(), key=lambda item: (item[0][0], item[1]))
    ]
    return tuple(absent)


def cause_of(dropped: Dropped) -> Cause:
    """Cause by the hospital's refusal, Flower's error or the coordinator's reason."""
    if dropped.reason is DropReason.REFUSED and dropped.code in {code.value for code in RefusalCode}:
        code = RefusalCode(dropped.code)
        return Cause(code=code.value, text=REFUSALS[code])
    if dropped.reason is DropReason.ERROR and dropped.code is not None:
        crashed = dropped.code == str(Failure.CRASHED.value)
        text = _CRASHED if crashed else ERRORS.get(dropped.code, REASONS[dropped.reason])
        return Cause(code=f"{dropped.reason.value}-{dropped.code}", text=text)
    return Cause(code=dropped.reason.value, text=REASONS[dropped.reason])


def _left_out(run: RunRecord, hospitals: Sequence[str]) -> Mapping[str, Cause]:
    """Hospital -> cause for which it has no part in a run.

    A refusal names a node. On an engine whose nodes have numbers of their own, causes that differ belong to nobody.
    """
    causes: dict[str, Cause] = {}
    nameless: list[Cause] = []
    for dropped in run.left_out:
        site = dropped.site or _name(dropped.node, hospitals)
        if site is None:
            nameless.append(cause_of(dropped))
        elif dropped.reason is not DropReason.ABSENT:
            causes[site] = cause_of(dropped)
    alike = dict.fromkeys(nameless)
    silent = Cause(code=DropReason.ABSENT.value, text=REASONS[DropReason.ABSENT])
    if alike:
        silent = Cause(code=" or ".join(c.code for c in alike), text=" Or: ".join(c.text for c in alike))
    return {site: causes.get(site, silent) for site in hospitals if site not in run.sites}


def _name(node: int | None, hospitals: Sequence[str]) -> str | None:
    index = -1 if node is None else node - first_node_id()
    return hospitals[index] if 0 <= index < len(hospitals) else None
