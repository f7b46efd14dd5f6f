from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from client.disclosures.losses import LossRelease, bits_per_answer, question_of
from common.evaluation.pairs import Pairs, concordance_pairs
from common.families.family import Score
from common.messages.exchange import ModelRequest
from common.messages.packing import Arrays
from common.messages.validation import ValidationSums
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.task import Task
from common.tasks.toxicity import ToxicityTask
from tests.attacks.attack_table import AttackRow

CEILING = 8.0
OS = Score("os", lambda least: least, lambda patients: patients * (patients - 1) // 2)
AE = Score("ae", lambda least: least, lambda patients: 30 * patients * (patients - 1) // 2)
RELEASE = LossRelease(b"k" * 32, b"q" * 32, 2.0, CEILING, (OS, AE), 5)
SUMS = ValidationSums(90.0, 60.0, {"os": Pairs(900.0, 1500), "ae": Pairs(300.0, 800)})


def asked(number: int) -> LossRelease:
    return replace(RELEASE, question=number.to_bytes(32))


def test_what_leaves_lies_on_the_grid_and_is_never_the_exact_sum() -> None:
    left = [asked(number).validation(SUMS) for number in range(200)]
    assert all(sums == sums.rounded(CEILING) for sums in left)
    assert all(sums.patients == 60 for sums in left)
    for score in (OS, AE):
        for sums in left:
            right, counted = sums.pairs[score.name]
            assert 0 <= right <= counted == int(counted) <= score.most(60)
            assert counted == 0 or counted >= score.fewest(RELEASE.least)
    losses = np.array([sums.loss for sums in left])
    assert losses.mean() == pytest.approx(90, abs=4)
    assert losses.std() == pytest.approx(2 * CEILING, rel=0.2)


def test_pairs_have_noise_of_the_most_that_one_patient_is_in() -> None:
    """The counts lie far from what so many patients can make, which would cut the noise off."""
    far = ValidationSums(90.0, 600.0, {"os": Pairs(60_000.0, 120_000), "ae": Pairs(1.8e6, 3.6e6)})
    left = [asked(number).validation(far) for number in range(300)]
    for name, most in (("os", 599), ("ae", 30 * 599)):
        for index in (0, 1):
            numbers = np.array([sums.pairs[name][index] for sums in left])
            assert numbers.std() == pytest.approx(2 * most * 4**0.5, rel=0.2)
            assert numbers.mean() == pytest.approx(far.pairs[name][index], rel=0.05)
        noise = np.array([np.subtract(sums.pairs[name], far.pairs[name]) for sums in left])
        assert abs(np.corrcoef(noise.T)[0, 1]) < 0.2, "each number has noise of its own"


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
    """The loss counts once, and every task adds two numbers of pairs."""
    assert bits_per_answer(2.0, 0) == pytest.approx(0.5 * np.log2(1 + 1 / 16))
    for scores in (1, 3, 30):
        pairs = 2 * scores * 0.5 * np.log2(1 + 1 / (16 * 2 * scores))
        assert bits_per_answer(2.0, scores) == pytest.approx(bits_per_answer(2.0, 0) + pairs)
        assert 0.087 < bits_per_answer(2.0, scores) < 0.089
    assert bits_per_answer(0.0, 3) == np.inf


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
            exact = ValidationSums(BASE + CEILING * (age > low), 60.0, SUMS.pairs)
            answers.append((low, release.validation(exact).loss))
            low = most_likely(answers, grid, release)
        found.append(abs(low - age))
    exact_search = 120 / 2**30
    attack_row(
        "threshold questions through validation losses, 30 answers",
        f"at most {30 * bits_per_answer(2.0, 2):.1f} bits of a record; age not within a year",
        f"age within 1 year for {np.mean(np.array(found) < 1):.0%}, median error {np.median(found):.0f} years "
        f"(exact sums: {exact_search:.0e})",
    )
    assert np.median(found) > 10
    assert np.mean(np.array(found) < 1) < 0.1


def test_another_question_is_needed_for_every_draw_of_noise() -> None:
    told = {asked(1).validation(SUMS).loss for _ in product(range(50))}
    assert len(told) == 1


def drawn(release: LossRelease, exact: Pairs, answers: int) -> np.ndarray:
    """Pairs of one score [answers, 2] as they leave, in so many answers."""
    (score,) = release.scores
    sums = ValidationSums(90.0, 60.0, {score.name: exact})
    return np.array(
        [
            replace(release, question=number.to_bytes(32)).validation(sums).pairs[score.name]
            for number in range(answers)
        ]
    )


@pytest.mark.attack
def test_comparable_pairs_do_not_tell_a_patients_time_and_event(attack_row: AttackRow) -> None:
    """All other patients are known, and every time and event of one is tried against one answer."""
    task = SurvivalTask(name="survival", time="months", event="died", unit="months", longest=600)
    draw, patients, bits, exactly = np.random.default_rng(7), 60, list[float](), list[float]()
    score = Score(task.name, task.fewest_pairs, task.most_pairs)
    release = replace(RELEASE, scores=(score,))
    time, event = draw.gamma(2, 14, patients).round(1), draw.integers(0, 2, patients) > 0
    noise = release.noise * score.of_one(patients) * 2**0.5
    exact = concordance_pairs(time, event, np.zeros(patients))
    for target in range(0, patients, 4):
        tried = []
        for died, months in product((False, True), np.arange(0, 100, 2.0)):
            other, seen = time.copy(), event.copy()
            other[target], seen[target] = months, died
            tried.append(concordance_pairs(other, seen, np.zeros(patients)).comparable)
        exactly.append(np.log2(len(tried) / max(1, tried.count(exact.comparable))))
        for counted in drawn(release, exact, 20)[:, 1]:
            likely = np.exp(-((counted - np.array(tried)) ** 2) / (2 * noise**2))
            likely /= likely.sum()
            bits.append(np.log2(len(tried)) + float((likely * np.log2(likely)).sum()))
    attack_row(
        "time and event of a patient from the comparable pairs of one answer",
        f"at most {bits_per_answer(2.0, 1):.3f} bits on average",
        f"{np.mean(bits):.3f} bits (exact number: {np.median(exactly):.1f})",
    )
    assert np.median(exactly) > 2
    assert np.mean(bits) <= bits_per_answer(2.0, 1)


TASKS = (
    SurvivalTask(name="survival", time="months", event="died", unit="months", longest=600),
    ResponseTask(name="two", label="response", classes=("no", "yes")),
    ResponseTask(name="four", label="response", classes=("CR", "PR", "SD", "PD")),
    ToxicityTask(name="toxicity", labels=tuple(f"ae{number}" for number in range(30))),
)


@pytest.mark.attack
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@pytest.mark.parametrize("others", ["many", "none"])
def test_no_patient_moves_the_pairs_of_a_task_by_more_than_their_unit(
    task: Task, others: str, attack_row: AttackRow
) -> None:
    """The weights rank one patient first, last or nowhere; its labels are the rarest of all, or not."""
    generator, patients = torch.Generator().manual_seed(0), 40
    width = {"survival": 2, "toxicity": 30}.get(task.name, 1)
    classes = 4 if task.name == "four" else 2
    rest = torch.randint(classes if others == "many" else 1, (patients, width), generator=generator).float()
    if task.name == "survival":
        rest[:, 0] = torch.rand(patients, generator=generator) * 50
    logits, labelled = torch.randn(patients, task.outputs, generator=generator), torch.ones(patients, width)
    counts = []
    for value, logit in product((0.0, 1.0, float(classes - 1)), (-99.0, 0.0, 99.0, float("nan"))):
        labels, ranked = rest.clone(), logits.clone()
        labels[0], ranked[0] = value, logit
        counts.append(task.pairs(ranked, labels, labelled.bool(), 0))
    most = np.ptp(np.array(counts), axis=0).max()
    score = Score(task.name, task.fewest_pairs, task.most_pairs)
    attack_row(
        f"pairs that one patient moves, {task.name}, others with {others} outcomes",
        f"at most {score.of_one(patients)}",
        f"{most:.0f}",
    )
    assert 0 < most <= score.of_one(patients)
    assert all(pairs.comparable <= score.most(patients) for pairs in counts)
