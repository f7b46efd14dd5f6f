"""Tables on a terminal."""

from collections.abc import Callable

from rich.console import Console

from simulations.report.screen.terminal import print_results
from simulations.results.schema import GroupScores, SimulationResult

MakeResult = Callable[..., SimulationResult]


def test_figures_of_groups_fit_beside_long_names(make_result: MakeResult) -> None:
    name = "pool: Asia-Pacific + Canada + Europe + Latin America/Africa"
    group = GroupScores(patients=1234, events=567, scores={"federated": 0.6543}, interval=(0.6, 0.7))
    few = GroupScores(patients=9, events=1, scores={})
    result = make_result(sites=2, folds=1, tasks=("response",))
    result = result.model_copy(update={"divisions": {"response": {"hospital": {name: group, "few": few}}}})
    console = Console(width=80, record=True, force_terminal=False)
    print_results(result, console)
    text = console.export_text()
    (row,) = (line for line in text.splitlines() if "hospital: pool" in line)
    assert all(figure in row for figure in ("1,234", "567", "0.654 (0.600 to 0.700)"))
    (row,) = (line for line in text.splitlines() if "hospital: few" in line)
    assert row.split()[-3:] == ["9", "1", "—"]
