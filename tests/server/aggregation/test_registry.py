"""Strategies are found by name; an unknown name is refused before anything runs, a registered one runs a federation."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from pydantic import ValidationError
from typer.testing import CliRunner

from common.agreement.federation import FILE_NAME, Federation, load, save
from common.agreement.settings import Training
from common.agreement.strategy_names import STRATEGIES, add_strategy_name
from common.console import BAD_INPUT
from common.errors import InputCode, InputError, InvalidContentError, RegistrationError
from consilium.command import app
from server.aggregation import registry
from server.aggregation.averaging import Weights
from server.aggregation.registry import (
    make_strategy,
    register_strategy,
    registered_strategies,
    require_registered,
)
from server.aggregation.strategies import FedAdam, FedAvg, FedYogi
from server.cli import coordinator_app
from server.home.places import create_home
from server.records.result import WEIGHTS
from tests.server.aggregation import trimmed_mean


@pytest.fixture
def trimmed() -> str:
    """The name of a strategy from outside, which is registered."""
    trimmed_mean.register()
    return trimmed_mean.NAME


@pytest.mark.parametrize(
    ("name", "kind"), [("fedavg", FedAvg), ("fedprox", FedAvg), ("fedadam", FedAdam), ("fedyogi", FedYogi)]
)
def test_the_strategies_of_the_product_have_their_names(name: str, kind: type) -> None:
    assert type(make_strategy(Training(strategy=name))) is kind
    assert name in registered_strategies()


def test_every_run_has_a_strategy_of_its_own() -> None:
    training = Training(strategy="fedadam", server_learning_rate=0.25)
    first, second = make_strategy(training), make_strategy(training)
    assert first is not second
    assert isinstance(first, FedAdam)
    assert first.eta == 0.25


def test_a_name_that_is_not_registered_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidContentError) as raised:
        require_registered(Training(strategy="fedmedian"))
    assert raised.value.where == "training.strategy"
    assert all(name in raised.value.remedy for name in STRATEGIES)


def test_a_file_with_a_typo_is_refused_wherever_it_is_read(
    make_federation: Callable[..., Federation], tmp_path: Path
) -> None:
    path = tmp_path / "federation.toml"
    save(make_federation(), path)
    path.write_text(path.read_text().replace('"fedavg"', '"fedavgg"'))
    with pytest.raises(InputError) as raised:
        load(path)
    assert raised.value.code is InputCode.CONTENT_INVALID
    assert all(name in str(raised.value) for name in ("training.strategy", *STRATEGIES))


@pytest.mark.parametrize("name", ["", "FedAvg", "../fedavg", "fed avg", "x" * 41, "1st"])
def test_a_name_of_another_form_is_neither_registered_nor_read(name: str) -> None:
    with pytest.raises(RegistrationError):
        register_strategy(name, lambda training: FedAvg())
    with pytest.raises(ValidationError) as refused:
        Training(strategy=name)
    assert [error["loc"] for error in refused.value.errors()] == [("strategy",)]


def test_a_name_has_one_factory(trimmed: str) -> None:
    trimmed_mean.register()
    with pytest.raises(RegistrationError):
        register_strategy(trimmed, lambda training: FedAvg())
    with pytest.raises(RegistrationError):
        register_strategy("fedavg", trimmed_mean.make)


def test_naming_a_strategy_changes_nothing_else_of_the_agreement(
    make_federation: Callable[..., Federation], trimmed: str
) -> None:
    agreed = make_federation()
    changed = agreed.changed({"training.strategy": trimmed})
    assert type(make_strategy(changed.training)) is trimmed_mean.TrimmedMean
    assert changed.changed({"training.strategy": "fedavg"}).digest == agreed.digest != changed.digest


def simulate(cohort: Path, out: Path, *options: str) -> Result:
    """Simulate the federated arm of a fold."""
    arguments = ("simulate", str(cohort), "--fold", "0", "--federated-only", "--out", str(out), *options)
    return CliRunner().invoke(app, arguments)


@pytest.mark.usefixtures("few_draws", "no_report")
def test_a_registered_strategy_runs_a_federation(
    small_cohort: Callable[..., Path], trimmed: str, tmp_path: Path
) -> None:
    cohort = small_cohort(training__rounds="2", training__linear_rounds="0")
    weights = {}
    for name, strategy in (("first", trimmed), ("again", trimmed), ("mean", "fedavg")):
        ended = simulate(
            *(cohort, tmp_path / name, "--set", f"training.strategy={strategy}", "--engine", "serial"),
            *("--federated-only", "--fold", "0"),
        )
        assert ended.exit_code == 0, ended.output
        weights[name] = (tmp_path / name / WEIGHTS).read_bytes()
    assert weights["first"] == weights["again"] != weights["mean"]


def test_a_simulation_refuses_a_strategy_before_it_begins(
    small_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    add_strategy_name("named-elsewhere")
    ended = simulate(small_cohort(), tmp_path / "out", "--set", "training.strategy=named-elsewhere")
    assert ended.exit_code == BAD_INPUT
    assert "training.strategy" in ended.output
    assert not (tmp_path / "out").exists()


def test_a_hospital_leaves_the_strategies_of_a_plug_in_to_the_coordinator(
    make_federation: Callable[..., Federation],
) -> None:
    data = make_federation().data()
    data["training"]["strategy"] = "fedmedian"
    with pytest.raises(ValidationError) as refused:
        Federation.model_validate(data)
    assert "training.strategy" in str(refused.value)
    data["plugins"] = [{"package": "medians", "version": "1.0", "sha256": "0" * 64}]
    assert Federation.model_validate(data).training.strategy == "fedmedian"


def test_a_coordinator_is_not_made_for_a_strategy_that_is_not_registered(
    make_federation: Callable[..., Federation], tmp_path: Path
) -> None:
    add_strategy_name("named-elsewhere")
    save(make_federation().changed({"training.strategy": "named-elsewhere"}), tmp_path / FILE_NAME)
    arguments = ("init", str(tmp_path / "home"), "--host", "localhost", "--federation", str(tmp_path))
    ended = CliRunner().invoke(coordinator_app, arguments)
    assert ended.exit_code == BAD_INPUT
    assert "training.strategy" in ended.output
    assert not (tmp_path / "home").exists()


def test_a_coordinator_does_not_start_for_a_strategy_that_is_not_registered(
    make_federation: Callable[..., Federation], tmp_path: Path
) -> None:
    add_strategy_name("named-elsewhere")
    home = create_home(tmp_path / "home", "localhost", 9443, None)
    save(make_federation().changed({"training.strategy": "named-elsewhere"}), home.agreement / FILE_NAME)
    ended = CliRunner().invoke(coordinator_app, ("start", str(home.folder)))
    assert ended.exit_code == BAD_INPUT
    assert "training.strategy" in ended.output


class Wordless:
    """A class without the method of a strategy."""


class Forgetful(FedAvg):
    """A strategy that gives its memory away and never takes it back."""

    def memory(self) -> dict[str, Weights]:
        return {}


@pytest.mark.parametrize("kind", [Wordless, Forgetful])
def test_a_class_without_a_strategys_methods_is_refused_when_it_is_registered(kind: type) -> None:
    with pytest.raises(RegistrationError):
        register_strategy("half-made", kind)
    assert "half-made" not in registered_strategies()


@pytest.mark.parametrize(("kind", "lacking"), [(Wordless, "next_weights"), (Forgetful, "remember")])
def test_a_factory_that_makes_no_strategy_is_refused_before_a_round(
    kind: type, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._FACTORIES, "fedavg", lambda training: kind())
    with pytest.raises(InvalidContentError) as raised:
        make_strategy(Training(strategy="fedavg"))
    assert raised.value.where == "training.strategy"
    assert "fedavg" in raised.value.what
    assert lacking in raised.value.what
