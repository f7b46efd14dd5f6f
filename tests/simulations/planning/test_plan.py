import errno
import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result as Ended

from common.agreement.privacy_settings import Privacy
from common.errors import InputError
from common.privacy.accounting import Release, spend
from common.privacy.planning import planned_releases
from simulations.planning.plan import Question, epsilon_after, privacy_plans, rounded_up, suggested_delta
from simulations.planning.text import weakness

Consilium = Callable[..., Ended]
# With everyone in every step the accountants are quick.
QUICK = ("--sampling-rate", 1, "--rounds", 10, "--steps", 2, "--patients", 400)


def question(**changes: Any) -> Question:
    settings: dict[str, Any] = {
        "patients": 400,
        "hospitals": 4,
        "rounds": 10,
        "epsilons": (2.0,),
        "delta": 1e-4,
        "sampling_rate": 1.0,
        "steps": 2,
        "statistics": "declared",
    }
    return Question(**(settings | changes))


@pytest.mark.parametrize(("statistics", "rate"), [("declared", 0.1), ("noised", 1.0)])
def test_plan_costs_what_the_accountants_say_and_hardly_less_than_asked(statistics: str, rate: float) -> None:
    (plan,) = privacy_plans(question(statistics=statistics, sampling_rate=rate))
    releases = [
        Release(
            mechanism="training", noise_multiplier=plan.privacy.noise_multiplier, sampling_rate=rate, steps=20
        )
    ]
    if statistics == "noised":
        noise = plan.privacy.statistics_noise_multiplier
        releases.append(Release(mechanism="statistics", noise_multiplier=noise))
    assert plan.spent == spend(releases, 1e-4)
    assert 1.98 <= plan.spent.epsilon <= 2.0


def test_noise_on_the_mean_gradient_falls_with_patients_and_hospitals() -> None:
    (plan,) = privacy_plans(question())
    assert plan.privacy.expected_batch_size == 400
    assert plan.noise == pytest.approx(plan.privacy.noise_multiplier * plan.privacy.clip_norm / 400)
    assert plan.averaged_noise == pytest.approx(plan.noise / 2)
    (larger,) = privacy_plans(question(patients=1600, hospitals=1))
    assert larger.noise == pytest.approx(plan.noise / 4)
    assert larger.averaged_noise == larger.noise


def test_curve_is_epsilon_so_far_and_what_lies_between_is_close() -> None:
    (plan,) = privacy_plans(question(rounds=40))
    assert plan.curve[0][0] == 1
    assert plan.curve[-1] == (40, plan.spent.epsilon)
    for rounds in (1, 7, 13, 25, 33, 40):
        so_far = spend(planned_releases(plan.privacy, rounds), 1e-4).epsilon
        assert epsilon_after(plan, rounds) == pytest.approx(so_far, rel=0.02)


def test_a_single_round_is_a_plan_too() -> None:
    (plan,) = privacy_plans(question(rounds=1))
    assert plan.curve == ((1, plan.spent.epsilon),)
    assert epsilon_after(plan, 1) == plan.spent.epsilon


def test_plans_come_in_order_and_once() -> None:
    plans = privacy_plans(question(epsilons=(8.0, 1.0, 8.0)))
    assert [plan.target for plan in plans] == [1.0, 8.0]
    assert plans[0].privacy.noise_multiplier > plans[1].privacy.noise_multiplier


@pytest.mark.parametrize("noise", [0.59570629, 1.7221, 9.9999, 99.996, 1.0, 0.1, 1234567.0])
def test_noise_is_rounded_to_four_digits_and_never_down(noise: float) -> None:
    up = rounded_up(noise)
    assert noise <= up <= noise * 1.0011
    assert float(f"{up:.4g}") == up


@pytest.mark.parametrize(
    ("patients", "delta"), [(100, 1e-3), (1000, 1e-4), (250, 1e-4), (1, 0.1), (20_000, 1e-6)]
)
def test_suggested_delta_is_a_tenth_of_one_in_all_patients_or_less(patients: int, delta: float) -> None:
    assert suggested_delta(patients) == delta
    assert not question(patients=patients, delta=delta).is_weak


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"epsilons": (0.0,)}, "--epsilon 0"),
        ({"epsilons": (float("nan"),)}, "--epsilon nan"),
        ({"epsilons": (1e3,)}, "--epsilon 1000"),
        ({"delta": 0.0}, "--delta 0"),
        ({"sampling_rate": 1.5}, "--sampling-rate 1.5"),
        ({"sampling_rate": 1e-3}, "--sampling-rate 0.001"),
        ({"statistics": "public"}, "--statistics public"),
        ({"statistics": "noised", "epsilons": (0.1,)}, "--epsilon 0.1"),
    ],
)
def test_facts_that_do_not_go_together_are_refused_by_option(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError) as refused:
        privacy_plans(question(**changes))
    assert refused.value.where == where


def test_command_prints_figures_and_lines_that_a_federation_file_takes(consilium: Consilium) -> None:
    ended = consilium("privacy", "plan", *QUICK, "--delta", 1e-4, "--hospitals", 4)
    assert ended.exit_code == 0, ended.output
    plans = privacy_plans(question(epsilons=(1.0, 3.0, 8.0)))
    for plan in plans:
        row = next(line for line in ended.stdout.splitlines() if line.split()[:1] == [f"{plan.target:g}"])
        figures = [f"{plan.privacy.noise_multiplier:g}", f"{plan.spent.rdp:.3f}", f"{plan.spent.prv:.3f}"]
        assert row.split()[1:] == [*figures, f"{plan.noise:.3g}", f"{plan.averaged_noise:.3g}"]
    start = ended.stdout.index("[privacy]")
    pasted = tomllib.loads(ended.stdout[start : ended.stdout.index("Privacy also needs")])
    assert Privacy.model_validate(pasted["privacy"]) == plans[0].privacy
    assert f"{plans[2].privacy.noise_multiplier:g} for 8" in ended.stdout
    assert "weak" not in ended.stdout


@pytest.mark.parametrize(("patients", "weak"), [(1000, True), (1500, True), (999, False)])
def test_a_weak_delta_is_called_weak(consilium: Consilium, patients: int, weak: bool) -> None:
    arguments = ("--patients", patients, "--sampling-rate", 1, "--epsilon", 1, "--rounds", 1)
    words = " ".join(consilium("privacy", "plan", *arguments).stdout.split())
    asked = json.loads(consilium("privacy", "plan", *arguments, "--json").stdout)
    assert asked["delta_is_weak"] == weak
    told = question(patients=patients, sampling_rate=1, epsilons=(1.0,), rounds=1, delta=asked["delta"])
    assert (" ".join(weakness(told).split()) in words) == weak


def test_json_holds_the_same_plans(consilium: Consilium) -> None:
    ended = consilium("privacy", "plan", *QUICK, "--delta", 1e-4, "--epsilon", 2, "--json")
    found = json.loads(ended.stdout)
    (plan,) = privacy_plans(question())
    (printed,) = found["plans"]
    assert Privacy.model_validate(printed["privacy"]) == plan.privacy
    assert printed["epsilon_prv"] == plan.spent.prv
    assert [tuple(point) for point in printed["epsilon_by_round"]] == list(plan.curve)
    assert (found["steps"], found["delta_is_weak"]) == (20, False)


@pytest.mark.parametrize(("name", "start"), [("plan.svg", b"<?xml"), ("plan.png", b"\x89PNG")])
def test_figure_is_written_in_the_format_of_its_name(
    consilium: Consilium, tmp_path: Path, name: str, start: bytes
) -> None:
    assert consilium("privacy", "plan", *QUICK, "--epsilon", 3, "--out", tmp_path / name).exit_code == 0
    drawn = (tmp_path / name).read_bytes()
    assert drawn.startswith(start)
    if name.endswith(".svg"):
        assert all(text in drawn.decode() for text in ("delta 0.001", "xmlns="))


@pytest.mark.parametrize(
    ("out", "facts"),
    [("plan.pdf", (".svg", ".png")), ("none/plan.svg", (os.strerror(errno.ENOENT),))],
)
def test_a_figure_that_cannot_be_written_is_one_sentence(
    consilium: Consilium, tmp_path: Path, out: str, facts: tuple[str, ...]
) -> None:
    ended = consilium("privacy", "plan", *QUICK, "--epsilon", 3, "--out", tmp_path / out)
    assert ended.exit_code == 2
    assert all(fact in ended.stderr for fact in (out, *facts))
    assert ended.stderr.count("\n") == 1
