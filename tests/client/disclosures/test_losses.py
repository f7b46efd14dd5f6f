from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from client.disclosures.losses import LossRelease, bits_per_answer, question_of
from common.evaluation.pairs import Pairs
from common.messages.exchange import ModelRequest
from common.messages.packing import Arrays
from common.messages.validation import ValidationSums
from tests.attacks.attack_table import AttackRow

CEILING = 8.0
RELEASE = LossRelease(b"k" * 32, b"q" * 32, 2.0, CEILING)
SUMS = ValidationSums(90.0, 60.0, {"os": Pairs(900.0, 1500), "ae": Pairs(300.0, 800)})


def asked(number: int) -> LossRelease:
    return replace(RELEASE, question=number.to_bytes(32))


def test_what_leaves_lies_on_the_grid_and_is_never_the_exact_sum() -> None:
    left = [asked(number).validation(SUMS) for number in range(200)]
    assert all(sums == sums.rounded(CEILING) for sums in left)
    assert all(sums.patients == 60 and sums.pairs["os"].comparable == 1500 for sums in left)
    losses = np.array([sums.loss for sums in left])
    assert losses.mean() == pytest.approx(90, abs=4)
    assert losses.std() == pytest.approx(2 * CEILING, rel=0.2)
    pairs = np.array([sums.pairs["os"].concordant for sums in left])
    assert pairs.std() == pytest.approx(2 * 59 * 2**0.5, rel=0.2)


def test_the_same_question_has_the_same_answer() -> None:
    again = replace(RELEASE)
    assert RELEASE.validation(SUMS) == again.validation(SUMS)
    assert asked(1).validation(SUMS) != asked(2).validation(SUMS)
    assert replace(RELEASE, key=b"other" * 6).validation(SUMS) != RELEASE.validation(SUMS)


def test_one_patient_more_has_other_noise() -> None:
    """Else the difference of two answers would be exact."""
    differences = {
        asked(number).validation(replace(SUMS, loss=95.0)).loss - asked(number).validation(SUMS).loss
        for number in range(20)
    }
    assert len(differences) > 10


def test_the_training_loss_is_capped_noised_and_on_its_grid() -> None:
    losses = torch.tensor([0.5, 1.0, -3.0, float("inf"), float("nan"), 1e30])
    exact = replace(RELEASE, noise=0.0)
    assert exact.training(losses) == pytest.approx((1.5 + 3 * CEILING) / 6)
    left = np.array([asked(number).training(torch.full((64,), 2.0)) for number in range(300)])
    assert (left * 16 == np.round(left * 16)).all()
    assert left.std() == pytest.approx(2 * CEILING / 64, rel=0.2)


def test_without_noise_sums_are_exact() -> None:
    assert replace(RELEASE, noise=0.0).validation(SUMS) is SUMS


def test_round_and_seed_do_not_make_another_question() -> None:

    def question(weight: float, round_: int = 1, seed: int = 0) -> bytes:
        weights: Arrays = {"w": np.full(3, weight, np.float32)}
        cuts: Arrays = {"cuts": np.ones(2, np.float32)}
        request = ModelRequest(
            federation="f", round=round_, fold=-1, seed=seed, weights=weights, preprocessing=cuts
        )
        return question_of(request)

    assert question(1.0) == question(1.0, round_=9, seed=4)
    assert question(1.0) != question(1.5)


def test_bits_are_the_capacity_of_the_noise() -> None:
    assert bits_per_answer(2.0) == pytest.approx(0.0850, abs=1e-4)
    assert bits_per_answer(0.0) == np.inf


def most_likely(answers: list[tuple[float, float]], grid: np.ndarray, release: LossRelease) -> float:
    """The value of a patient that explains the answers best: (threshold, sum of the losses) each."""
    score = np.zeros_like(grid)
    for threshold, told in answers:
        meant = release.ceiling * (grid > threshold)
        score -= (told - BASE - meant) ** 2 / (2 * (release.noise * release.ceiling) ** 2)
    return float(grid[score == score.max()].mean())


BASE = 30 * CEILING


@pytest.mark.attack
def test_thirty_threshold_questions_do_not_recover_a_value(
    attack_row: AttackRow,
) -> None:
    """All other patients are known, and each question is about one patient's age alone."""
    draw, grid, found = np.random.default_rng(0), np.arange(0.0, 120.0, 0.1), []
    for person in range(300):
        age, answers = float(draw.uniform(0, 120)), list[tuple[float, float]]()
        low = 60.0
        for question in range(30):
            release = replace(RELEASE, question=(person * 1000 + question).to_bytes(32))
            exact = ValidationSums(BASE + CEILING * (age > low), 60.0, {})
            answers.append((low, release.validation(exact).loss))
            low = most_likely(answers, grid, release)
        found.append(abs(low - age))
    exact_search = 120 / 2**30
    attack_row(
        "threshold questions through validation losses, 30 answers",
        f"at most {30 * bits_per_answer(2.0):.1f} bits of a record; age not within a year",
        f"age within 1 year for {np.mean(np.array(found) < 1):.0%}, median error {np.median(found):.0f} years "
        f"(exact sums: {exact_search:.0e})",
    )
    assert np.median(found) > 10
    assert np.mean(np.array(found) < 1) < 0.1


def test_another_question_is_needed_for_every_draw_of_noise() -> None:
    told = {asked(1).validation(SUMS).loss for _ in product(range(50))}
    assert len(told) == 1
