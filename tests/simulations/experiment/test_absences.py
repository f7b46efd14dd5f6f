"""Hospitals without a part, by the journals of runs."""

from common.errors import REFUSALS, RefusalCode
from server.records.dropped import Dropped, DropReason
from server.records.journal import RoundRecord, RunRecord, SiteRecord
from simulations.experiment.absences import absences

NAMES = ["north", "south", "west"]
CODE = RefusalCode.DEVICE_UNAVAILABLE


def run(sites: tuple[str, ...], *left_out: Dropped) -> RunRecord:
    return RunRecord(
        status="completed",
        federation="f",
        digest="d",
        strategy="fedavg",
        fold=0,
        seed=0,
        sites=sites,
        left_out=left_out,
    )


def round_of(number: int, sites: tuple[str, ...], *dropped: Dropped) -> RoundRecord:
    replied = {site: SiteRecord(metrics={}) for site in sites}
    return RoundRecord(kind="train", round=number, seconds=1, sites=replied, dropped=dropped, applied=True)


def refused(node: int | None = None, site: str | None = None, code: RefusalCode = CODE) -> Dropped:
    return Dropped(node=node, site=site, reason=DropReason.REFUSED, code=code.value)


def test_a_refusal_of_a_node_is_that_of_the_hospital_it_speaks_for() -> None:
    gone = [Dropped(site=name, reason=DropReason.ABSENT) for name in ("south", "west")]
    lacking = refused(4, code=RefusalCode.NO_TRAINING_PATIENTS)
    south, west = absences([run(("north",), refused(3), lacking, *gone)], NAMES)
    assert (south.site, south.code, south.text, south.rounds) == ("south", CODE.value, REFUSALS[CODE], ())
    assert (west.site, west.code) == ("west", RefusalCode.NO_TRAINING_PATIENTS.value)


def test_a_node_of_another_engine_gives_its_code_to_a_hospital_only_if_all_codes_agree() -> None:
    one, two = 10**12, 10**12 + 1
    south, west = absences([run(("north",), refused(one), refused(two))], NAMES)
    assert (south.code, west.code) == (CODE.value, CODE.value)
    other = refused(two, code=RefusalCode.INTERNAL)
    south, _ = absences([run(("north",), refused(one), other)], NAMES)
    assert CODE.value in south.code
    assert RefusalCode.INTERNAL.value in south.code


def test_a_process_that_was_killed_costs_the_rounds_in_which_it_was() -> None:
    killed = Dropped(site="west", reason=DropReason.ERROR, code="8")
    rounds = [round_of(1, ("north", "south", "west")), round_of(2, ("north", "south"), killed)]
    (west,) = absences([run(tuple(NAMES)), *rounds], NAMES, "epsilon-8.0")
    assert (west.site, west.code, west.rounds, west.arm) == ("west", "error-8", (2,), "epsilon-8.0")


def test_a_hospital_that_refuses_every_round_has_no_part_in_the_run() -> None:
    rounds = [round_of(number, ("north", "south"), refused(site="west")) for number in (1, 2)]
    (west,) = absences([run(tuple(NAMES)), *rounds], NAMES)
    assert (west.site, west.code, west.rounds) == ("west", CODE.value, ())


def test_a_run_that_asked_nobody_says_nothing_of_hospitals() -> None:
    assert absences([run(())], NAMES) == ()
