import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from server.records.dropped import Dropped, DropReason
from server.records.journal import RoundRecord, SiteRecord
from simulations.report.screen.live import LiveDisplay, losses_line
from simulations.report.screen.terminal import print_results
from simulations.results.schema import ARM_NAMES, MISSING, SimulationResult

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
        concordance={"overall_survival": 0.6},
        sites={f"site {site}": SiteRecord(metrics={}) for site in range(replied)},
        dropped=tuple(Dropped(site=f"lost {site}", reason=DropReason.NO_REPLY) for site in range(lost)),
        applied=applied,
    )


def numbers(line: str) -> list[str]:
    """Figures of a line, in their order; a share such as 3/4 is one."""
    return re.findall(r"[\d.]*\d(?:/\d+)?", line)


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
    assert numbers(lines[-1]) == ["1", "30/30", "2.000", "1.700", "0.600", "3/3", "1.2", "30"]
    assert "overall_survival concordance 0.600" in lines[-1]


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
    assert progress.lowest is not None
    assert progress.lowest.round == 1
    last = printed(console).splitlines()[-1]
    assert MISSING in last
    assert numbers(last) == ["1", "10/10", "2.000", "0.600", "1/3", "1.2", "1"]


def test_a_round_that_does_not_count_is_marked() -> None:
    counted, lost = (losses_line(1, record(2, 1.5, applied=applied), 10) for applied in (True, False))
    assert lost.startswith(counted)
    assert lost != counted


def test_the_lowest_loss_starts_anew_with_each_fold() -> None:
    console = plain()
    with LiveDisplay(10, console) as progress:
        progress.round(1, record(1, 0.5))
        progress.round(2, record(1, 0.9))
    assert progress.lowest is not None
    assert progress.lowest.validation_loss == 0.9
    assert "0.900" in printed(console).splitlines()[-1]


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
    assert progress.lowest is not None
    assert (progress.lowest.round, progress.lowest.validation_loss) == (9, 1.0)
    assert "1.000 in round 9" in shown
    assert "lost 0" in shown
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
    last = printed(console).splitlines()[-1]
    assert numbers(last) == ["1", "1/10", "3/3", "1.2"]
    assert MISSING not in last
    console = terminal()
    with LiveDisplay(10, console) as progress:
        progress.round(1, record(1, 0.5))
        progress.round(1, private_record(1))
        progress.round(1, private_record(2))
        with console.capture() as captured:
            console.print(progress)
    shown = captured.get()
    assert progress.lowest is None
    assert MISSING not in shown
    assert "0.500" not in shown
    assert "overall_survival" not in shown, "the rounds of the run before are gone"
    assert "2/10" in shown


def test_a_private_run_has_a_row_below_the_federated_arm(make_private: MakeResult) -> None:
    console = Console(record=True, width=100, file=io.StringIO())
    print_results(make_private(8.0, 1.0), console)
    lines = [line.strip() for line in console.export_text().splitlines()]
    rows = [line for line in lines if line.startswith((ARM_NAMES["federated"], ARM_NAMES["local"]))]
    federated = ARM_NAMES["federated"]
    names = (f"{federated}  ", f"{federated}, epsilon 8", f"{federated}, epsilon 1", ARM_NAMES["local"])
    assert all(row.startswith(name) for row, name in zip(rows, names, strict=False))
    assert "+0.030 (+0.010 to +0.050)" in rows[1]
    assert any("epsilon 7.99" in line and "delta 0.001" in line for line in lines)


@pytest.mark.parametrize("width", [80, 120])
def test_results_name_every_arm_and_every_hospital(make_result: MakeResult, width: int) -> None:
    console = Console(record=True, width=width, file=io.StringIO())
    result = make_result(sites=4)
    print_results(result, console)
    shown = console.export_text()
    for text in (ARM_NAMES["federated"], ARM_NAMES["mlp"], "Hospital 01", "Hospital 03", "+0.097"):
        assert text in shown
    assert all(len(line) <= width for line in shown.splitlines())
    assert result.notes[0] in " ".join(shown.split())


def test_an_arm_that_was_not_run_has_no_row(make_result: MakeResult) -> None:
    console = Console(record=True, width=120, file=io.StringIO())
    result = make_result(sites=1, tasks=("overall_survival",))
    arms = {arm: metrics for arm, metrics in result.tasks["overall_survival"].items() if arm != "forest"}
    print_results(result.model_copy(update={"tasks": {"overall_survival": arms}}), console)
    assert ARM_NAMES["forest"] not in console.export_text()


def test_the_evaluation_of_the_last_weights_is_no_round_beyond_the_last() -> None:
    evaluation = record(11, 1.5).model_copy(update={"kind": "evaluate"})
    assert "/10" in losses_line(1, record(10, 1.5), 10)
    assert "11" not in losses_line(1, evaluation, 10)


def test_noise_stands_beside_the_loss_that_has_it() -> None:
    noisy = record(1, 1.5).model_copy(update={"validation_noise": 0.25})
    assert numbers(losses_line(1, noisy, 10))[3:5] == ["1.500", "0.250"]
    assert "noise" not in losses_line(1, record(1, 1.5), 10)
