"""The audit of a right implementation stays below its claim, and every one that is broken on purpose is found out.

Noise and sampling come from the operating system. Of 200 guesses 160 or more must be right to refute epsilon 1 at delta
1e-3. A run that is as private as it claims gets 62% right if canaries are told apart perfectly (two Gaussian steps with
everyone in them), and is refuted in fewer than one run of a million. Runs broken as below get 90% to 99% right in
trials, with a deviation of 2%, and escape about as rarely.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from client.privacy.clipping import PatientGradients
from client.privacy.randomness import SecretRandom
from simulations.audit.one_run import audit_one_run, guess
from simulations.audit.report import CanaryRun
from simulations.audit.training_setups import with_epsilon, without_privacy
from tests.simulations.audit.conftest import Hospital

CANARIES, DELTA = 400, 1e-3
Break = Callable[[pytest.MonkeyPatch], None]


def audited(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, broken: Break | None = None
) -> tuple[CanaryRun, float]:
    """A run that claims epsilon 1, perhaps broken once the claim was made; all patients are in every step."""
    setting = with_epsilon(hospital.federation, 1.0, DELTA, members=100, sampling_rate=1.0)
    if broken is not None:
        broken(monkeypatch)
    found = audit_one_run(setting, hospital.folder, hospital.patients, hospital.cuts, CANARIES, DELTA, seed=0)
    return found, setting.epsilon


def clipped_at(times: float) -> Break:
    right = PatientGradients.clipped_sum

    def wrong(
        self: PatientGradients,
        loss: Callable[[], Tensor],
        patients: int,
        clip_norm: float,
        counted: Tensor | None = None,
        onto: list[Tensor] | None = None,
    ) -> list[Tensor]:
        return right(self, loss, patients, times * clip_norm, counted, onto)

    return lambda patch: patch.setattr(PatientGradients, "clipped_sum", wrong)


def noise_divided_by(times: float) -> Break:
    right = SecretRandom.normal

    def wrong(self: SecretRandom, count: int) -> NDArray[np.float64]:
        return right(self, count) / times

    return lambda patch: patch.setattr(SecretRandom, "normal", wrong)


def test_a_right_run_stays_below_its_claim(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    found, claimed = audited(hospital, monkeypatch)
    assert claimed == pytest.approx(1.0, abs=0.01)
    assert found.guesses == CANARIES // 2
    assert found.bound < claimed < found.ceiling


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(clipped_at(20), id="clipped at 20 times the norm"),
        pytest.param(clipped_at(1e9), id="not clipped"),
        pytest.param(noise_divided_by(10), id="a tenth of the noise"),
    ],
)
def test_a_broken_run_is_found_out(
    broken: Break, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, claimed = audited(hospital, monkeypatch, broken)
    assert found.bound > claimed


def test_training_without_privacy_is_seen_to_have_none(hospital: Hospital) -> None:
    longer = hospital.federation.changed(
        {"training.rounds": "10", "training.learning_rate": "0.02", "training.batch_size": "32"}
    )
    setting = without_privacy(longer)
    found = audit_one_run(setting, hospital.folder, hospital.patients, hospital.cuts, 100, DELTA, seed=0)
    assert found.bound > 1


def test_the_extremes_are_guessed() -> None:
    shares = np.array([0.9, 0.1, 0.5, 0.5, 0.8, 0.2, 0.5, 0.5])
    coins = np.array([True, False, False, True, True, True, False, False])
    assert guess(shares, coins) == (4, 3)


def test_guesses_know_nothing_of_the_coins() -> None:
    rng = np.random.default_rng(0)
    right = sum(guess(rng.normal(size=400), rng.random(400) < 0.5)[1] for _ in range(50))
    assert right / (50 * 200) == pytest.approx(0.5, abs=0.02)
