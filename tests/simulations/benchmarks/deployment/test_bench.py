from pathlib import Path

import pytest

from server.services.processes import script
from simulations.benchmarks.deployment.bench import DeploymentFigures, deployment_table, run_deployment
from simulations.results.machine import machine


def test_the_table_tells_what_is_over_the_floor() -> None:
    measured = DeploymentFigures(
        machine=machine(),
        sites=2,
        parameters=1000,
        ready_s=2.0,
        first_s=20.0,
        rounds_s=(8.0, 9.0, 30.0),
        bare_s=(7.0, 6.0, 6.5),
        reply_bytes=5234,
        all_bytes=12345,
        messages=3,
    )
    printed = deployment_table(measured)
    assert "| a round, median | 9.0 s |" in printed
    assert "| a round over that floor | 2.5 s |" in printed
    assert "| the weights alone (1,000 x 4) | 4,000 bytes |" in printed
    assert "| over that | 1,234 bytes |" in printed
    assert f"{measured.date:%Y-%m-%d}" in printed


@pytest.mark.slow
@pytest.mark.usefixtures("nginx")
def test_a_real_run_is_measured(tmp_path: Path) -> None:
    measured = run_deployment(1, 2, tmp_path / "figures" / "deployment.json")
    assert Path(script("consilium")).is_file()
    assert len(measured.rounds_s) == len(measured.bare_s) == 2
    assert measured.reply_bytes > 4 * measured.parameters
    assert measured.sites == 1
    assert measured.messages > 4, "sums, two rounds, evaluation, and sums about the trained model"
    assert 0 < measured.ready_s < measured.first_s
    assert (
        DeploymentFigures.model_validate_json((tmp_path / "figures" / "deployment.json").read_text())
        == measured
    )
