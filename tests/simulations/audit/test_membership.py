import numpy as np
import pytest

from simulations.audit.membership import (
    Targets,
    confidence,
    lira_scores,
    loss_scores,
    mean_losses,
    train_targets,
)
from simulations.audit.roc import auc
from simulations.audit.training_setups import with_epsilon, without_privacy
from tests.simulations.audit.conftest import Hospital


def losses_of(members: np.ndarray, gain: float) -> Targets:
    """Patients differ in difficulty far more than membership matters."""
    rng = np.random.default_rng(1)
    difficulty = rng.normal(scale=3, size=members.shape[1])
    phi = difficulty + gain * members + rng.normal(scale=0.5, size=members.shape)
    return Targets(members, np.log1p(np.exp(-phi)), {})


@pytest.fixture
def members() -> np.ndarray:
    return np.random.default_rng(0).random((16, 300)) < 0.5


def test_confidence_is_the_logit_of_the_likelihood() -> None:
    losses = np.array([1e-6, 0.1, 1.0, 20.0])
    likelihood = np.exp(-losses)
    np.testing.assert_allclose(confidence(losses), np.log(likelihood / (1 - likelihood)), rtol=1e-6)
    assert np.isfinite(confidence(np.array([0.0, 1e4]))).all()


def test_lira_finds_members_whose_loss_alone_says_little(members: np.ndarray) -> None:
    targets = losses_of(members, gain=1.0)
    by_loss = auc(members.ravel(), loss_scores(targets).ravel())
    by_ratio = auc(members.ravel(), lira_scores(targets).ravel())
    assert by_loss < 0.65
    assert 0.85 < by_ratio < 0.93  # 0.921 if the means were known: normal(1 / (0.5 sqrt 2))


def test_where_membership_changes_nothing_no_attack_finds_it(members: np.ndarray) -> None:
    targets = losses_of(members, gain=0.0)
    for scores in (loss_scores(targets), lira_scores(targets)):
        assert auc(members.ravel(), scores.ravel()) == pytest.approx(0.5, abs=0.03)  # 3.6 deviations


def test_lira_says_nothing_of_a_patient_whom_no_shadow_has_seen(members: np.ndarray) -> None:
    members[:, 7] = False
    members[3, 7] = True
    scores = lira_scores(losses_of(members, gain=1.0))
    assert scores[3, 7] == 0  # attacked with shadows none of which has seen the patient
    assert np.isfinite(scores).all()
    assert (scores != 0).mean() > 0.99


def test_a_model_without_privacy_remembers_and_one_at_epsilon_1_does_not(hospital: Hospital) -> None:
    everyone = hospital.patients
    settings = {"training.rounds": "8", "training.learning_rate": "0.03", "training.batch_size": "16"}
    federation = hospital.federation.changed(settings)
    areas, ratios = [], []
    for setting in (without_privacy(federation), with_epsilon(federation, 1.0, 1e-3, 30, sampling_rate=1.0)):
        targets = train_targets(setting, hospital.folder, everyone, everyone, hospital.cuts, 3, seed=0)
        member, other = mean_losses(targets)
        areas.append(auc(targets.members.ravel(), loss_scores(targets).ravel()))
        ratios.append(member / other)
    assert areas[0] > 0.7
    assert ratios[0] < 0.8
    # Over private runs, whose noise is not seeded, the deviations are 0.02.
    assert areas[1] < 0.65
    assert ratios[1] > 0.9
