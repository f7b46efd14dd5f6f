from pathlib import Path

from server.app import RunConfig


def test_a_run_on_one_machine_has_defaults() -> None:
    config = RunConfig.of({"federation": "f", "out": "o", "other": "x"})
    assert (config.federation, config.out, config.fold, config.seed) == (Path("f"), Path("o"), -1, 0)
