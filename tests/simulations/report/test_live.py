import io
from collections.abc import Callable

import pytest
from rich.console import Console

from server.records.dropped import Dropped, DropReason
from server.records.journal import RoundRecord, SiteRecord
from simulations.report.live import LiveDisplay
from simulations.report.terminal import print_results
from simulations.results.schema import SimulationResult

MakeResult = Callable[..., SimulationResult]


def record(
    number: int, loss: float | None, replied: int = 3, lost: int = 0, applied: bool = True
) -> RoundRecord:
    return RoundRecord(
        kind="train",
        round=number,
        seconds=1.25,
        training_loss=2.0,
        validation_loss=loss,
        scores={"overall_survival": 0.6},
        sites={f"site {site}": SiteRecord(metrics={}) for site in range(replied)},
        dropped=tuple(Dropped(site=f"lost {site}", reason=DropReason.NO_REPLY) for site in range(lost)),
        applied=applied,
    )


def plain() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=80)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120, height=40, legacy_windows=False)


def test_without_a_terminal_one_line_is_printed_in_ten_rounds_and_no_control_codes() -> None:
    console = plain()
    with LiveDisplay(30, console) as progress:
        progress.stage("fold 1/2, federated")
        for number in range(1, 31):
            progress.stage("fold 1/2, federated")
            progress.round(1, record(number, 2 - number / 100))
    lines = printed(console).splitlines()
    assert "\x1b" not in printed(console)
    assert lines[0] == "fold 1/2, federated"
    assert [line.split(":")[0] for line in lines[1:]] == [
        f"fold 1, round {number}/30" for number in (1, 10, 20, 30)
    ]
    assert "validation loss 1.700, overall_survival 0.600, 3/3 sites, 1.2 s; lowest in round 30" in lines[-1]


def test_square_brackets_in_a_stage_are_not_taken_for_markup() -> None:
    console = plain()
    with LiveDisplay(3, console) as progress:
        progress.stage("local models, [east wing]")
    assert "[east wing]" in printed(console)


def test_a_round_without_quorum_or_without_a_loss_is_said_and_never_the_lowest() -> None:
    console = plain()
    with LiveDisplay(10, console) as progress:
        progress.round(1, record(1, 1.5))
        progress.round(1, record(10, float("nan"), replied=1, lost=2, applied=False))
    last = printed(console).splitlines()[-1]
    assert "validation loss —" in last
    assert "1/3 sites" in last
    assert "not applied; lowest in round 1" in last


def test_the_lowest_loss_starts_anew_with_each_fold() -> None:
    console = plain()
    with LiveDisplay(10, console) as progress:
        progress.round(1, record(1, 0.5))
        progress.round(2, record(1, 0.9))
    assert printed(console).splitlines()[-1].endswith("lowest in round 1")
    assert "validation loss 0.900" in printed(console).splitlines()[-1]


def test_a_terminal_shows_latest_rounds_replies_and_the_lowest_loss() -> None:
    console = terminal()
    with LiveDisplay(60, console) as progress:
        progress.stage("fold 1/2, federated")
        for number in range(1, 13):
            progress.round(1, record(number, abs(number - 9) + 1.0, lost=number == 12))
        with console.capture() as captured:
            console.print(progress)
    shown = captured.get()
    assert "12/60" in shown
    assert "3/4" in shown
    assert "lowest validation loss so far: 1.000 in round 9" in shown
    assert "not counted: lost 0" in shown
    assert "  5 " in shown
    assert "  4 " not in shown


def test_the_display_stops_when_a_run_fails() -> None:
    console = terminal()
    with pytest.raises(RuntimeError), LiveDisplay(5, console):
        raise RuntimeError("stopped")
    assert "\x1b[?25h" in printed(console), "the cursor is shown again"


def private_record(number: int) -> RoundRecord:
    return record(number, None).model_copy(update={"training_loss": None, "scores": {}})


def test_a_private_round_has_no_loss_to_show() -> None:
    console = plain()
    with LiveDisplay(10, console) as progress:
        progress.round(1, record(1, 0.5))
        progress.round(1, private_record(1))
    assert printed(console).splitlines()[-1] == "fold 1, round 1/10: 3/3 sites, 1.2 s"
    console = terminal()
    with LiveDisplay(10, console) as progress:
        progress.round(1, record(1, 0.5))
        progress.round(1, private_record(1))
        progress.round(1, private_record(2))
        with console.capture() as captured:
            console.print(progress)
    shown = captured.get()
    assert "no loss leaves a hospital" in shown
    assert "validation loss" not in shown
    assert "overall_survival" not in shown, "the rounds of the run before are gone"
    assert "2/10" in shown


def test_a_private_run_has_a_row_below_the_federated_arm(make_private: MakeResult) -> None:
    console = Console(record=True, width=100, file=io.StringIO())
    print_results(make_private(8.0, 1.0), console)
    lines = [line.strip() for line in console.export_text().splitlines()]
    rows = [line for line in lines if line.startswith(("Federated", "Each hospital"))]
    names = ("Federated  ", "Federated, epsilon 8", "Federated, epsilon 1", "Each hospital alone")
    assert all(row.startswith(name) for row, name in zip(rows, names, strict=False))
    assert "+0.030 (+0.010 to +0.050)" in rows[1]
    assert any("epsilon 7.99 spent at delta 0.001" in line for line in lines)


@pytest.mark.parametrize("width", [80, 120])
def test_results_name_every_arm_and_every_hospital(make_result: MakeResult, width: int) -> None:
    console = Console(record=True, width=width, file=io.StringIO())
    result = make_result(sites=4)
    print_results(result, console)
    shown = console.export_text()
    for text in (
        "Federated",
        "MLP, pooled",
        "Hospital 01",
        "Hospital 03",
        "Own model",
        "Federated",
        "+0.097",
    ):
        assert text in shown
    assert all(len(line) <= width for line in shown.splitlines())
    assert "needs consilium[baselines]" in shown


def test_an_arm_that_was_not_run_has_no_row(make_result: MakeResult) -> None:
    console = Console(record=True, width=120, file=io.StringIO())
    result = make_result(sites=1, tasks=("overall_survival",))
    arms = {arm: metrics for arm, metrics in result.tasks["overall_survival"].items() if arm != "forest"}
    print_results(result.model_copy(update={"tasks": {"overall_survival": arms}}), console)
    assert "Random forest" not in console.export_text()
