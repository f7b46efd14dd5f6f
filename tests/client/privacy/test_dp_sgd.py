"""Effects of a private round on the weights: sampling, noise, steps in parts, untouched parameters."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from client.privacy.dp_sgd import take_private_steps, train_privately
from client.privacy.slots import Slot
from client.training.device import CPU, Device
from client.training.round import Round
from common.agreement.federation import Federation
from common.agreement.model_config import HierarchicalConfig
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Training
from common.errors import Refusal, RefusalCode
from common.families.patient_loss import patient_loss
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch, concatenate
from common.patients.guarantee import check_agreement
from common.privacy.guarantee import check_model
from common.privacy.planning import with_privacy
from tests.client.cuts import with_cuts
from tests.client.small_device import SmallDevice, room_for

MakeBatch = Callable[..., PatientBatch]
NOBODY, SILENT = 1e-12, 1e-9
"""A sampling rate at which nobody is drawn, and a noise multiplier that leaves the clipped sum to be seen."""


class Site:
    """Trains a fresh small model, always from the same weights, under the terms a test asks for."""

    def __init__(self, make: Callable[..., Federation], prior: Prior, cuts: dict[str, Tensor]) -> None:
        self._make, self.prior, self.cuts = make, prior, cuts

    def federation(self, training: dict[str, Any] | None = None, **terms: object) -> Federation:
        federation = self._make(
            model=HierarchicalConfig(node_width=4, pathway_width=6, width=8, heads=2, gat_layers=1),
            training=Training.model_validate({"rounds": 3} | (training or {})),
        )
        settings: dict[str, object] = {
            "noise_multiplier": 1.0,
            "sampling_rate": 1.0,
            "expected_batch_size": 4.0,
        }
        settings |= {"learning_rate": 0.5, "learn": "all"}
        settings |= terms
        extreme = {name: settings.pop(name) for name in ("noise_multiplier", "sampling_rate")}
        privacy = Privacy.model_validate(settings | {"noise_multiplier": 1.0, "sampling_rate": 1.0})
        privacy = privacy.model_copy(update=extreme)  # perhaps less than any file may have
        return with_privacy(federation, privacy)

    def model(self, federation: Federation) -> HierarchicalMultimodalGNN:
        torch.manual_seed(0)
        model = HierarchicalMultimodalGNN(federation, self.prior)
        with torch.no_grad():
            for own in model.parameters():
                own.add_(0.1 * torch.randn_like(own))
        return model

    def train(
        self,
        batch: PatientBatch,
        round_: int = 1,
        absent: frozenset[str] = frozenset(),
        training: dict[str, Any] | None = None,
        model: HierarchicalMultimodalGNN | None = None,
        device: Device = CPU,
        **terms: object,
    ) -> HierarchicalMultimodalGNN:
        federation = self.federation(training, **terms)
        assert federation.privacy is not None
        model = self.model(federation) if model is None else model
        train_privately(
            model,
            batch,
            Round(federation, with_cuts(self.cuts), round_, device=device),
            federation.privacy,
            absent,
        )
        return model

    def samples(self, batch: PatientBatch, **terms: Any) -> list[list[float]]:
        """The first values of the patients who are drawn, step after step; the weights move by noise alone."""
        federation, seen = self.federation(**terms), []
        assert federation.privacy is not None

        def loss(part: PatientBatch) -> Tensor:
            somebody = part.observed["rna"].any(1)
            assert len(somebody) == len(batch)
            seen.append(part.values["rna"][somebody, 0].tolist())
            return torch.zeros(len(part))

        round_ = Round(federation, with_cuts(self.cuts))
        slot = Slot(len(batch), len(batch))  # one for all who are drawn
        take_private_steps(self.model(federation), batch, round_, federation.privacy, loss, slot)
        return seen

    def small(self, patients: int) -> SmallDevice:
        """A device with room for the gradients of so many patients."""
        model = self.model(self.federation())
        return SmallDevice(room=room_for(model, patients + 0.5, private=True))

    def moved(self, batch: PatientBatch, **how: Any) -> Tensor:
        """Moves of all weights as a single vector."""
        federation = self.federation(how.get("training"))
        start = torch.cat([own.detach().flatten() for own in self.model(federation).parameters()])
        end = torch.cat([own.detach().flatten() for own in self.train(batch, **how).parameters()])
        return (end - start).double()


@pytest.fixture
def site(make_federation: Callable[..., Federation], prior: Prior, cuts: dict[str, Tensor]) -> Site:
    return Site(make_federation, prior, cuts)


def test_the_model_and_the_agreement_are_what_the_guarantee_asks_for(site: Site) -> None:
    federation = site.federation()
    check_agreement(federation)
    check_model(site.model(federation))


@pytest.mark.parametrize(
    ("terms", "round_", "deviation"),
    [
        ({}, 1, 0.5 * 1 * 1 / 4),
        ({"noise_multiplier": 3.0, "clip_norm": 0.2}, 1, 0.5 * 3 * 0.2 / 4),
        ({"expected_batch_size": 20.0, "learning_rate": 2.0}, 1, 2.0 / 20),
        ({"steps": 4}, 1, 2 * 0.5 / 4),
        ({}, 3, 0.25 * 0.5 / 4),
    ],
    ids=["plain", "noise and clip norm", "batch size and rate", "four steps", "third round of three"],
)
def test_with_nobody_drawn_a_step_is_noise_of_the_agreed_size(
    site: Site, make_batch: MakeBatch, terms: dict[str, float], round_: int, deviation: float
) -> None:
    moved = site.moved(make_batch(5), round_=round_, sampling_rate=NOBODY, **terms)
    assert len(moved) > 2000
    assert float(moved.std()) == pytest.approx(deviation, rel=0.08)
    assert kstest((moved / deviation).numpy(), "norm").pvalue > 1e-6


def test_the_noise_is_of_the_agreed_size_in_every_coordinate_and_of_none_in_common(
    site: Site, make_batch: MakeBatch
) -> None:
    batch = make_batch(3)
    drawn = torch.stack([site.moved(batch, sampling_rate=NOBODY) for _ in range(30)]) / 0.125
    assert float(drawn.std(0).min()) > 0.3
    assert float(drawn.std(0).max()) < 1.9
    assert float(drawn.mean(0).abs().max()) < 6 / 30**0.5
    assert float(torch.corrcoef(drawn).fill_diagonal_(0).abs().max()) < 6 / drawn.shape[1] ** 0.5


def test_noise_is_added_to_the_sum_of_those_drawn_too(site: Site, make_batch: MakeBatch) -> None:
    batch = make_batch(6)
    noise = site.moved(batch) - site.moved(batch, noise_multiplier=SILENT)
    assert float(noise.std()) == pytest.approx(0.125, rel=0.08)


def test_two_sites_with_the_same_seed_share_neither_noise_nor_sampling(
    site: Site, make_batch: MakeBatch
) -> None:
    batch, seen = make_batch(60), []
    batch.observed["rna"][:] = True
    moves = []
    for _ in range(2):
        torch.manual_seed(5)
        np.random.seed(5)
        random.seed(5)
        moves.append(site.moved(batch, sampling_rate=0.5))
        torch.manual_seed(5)
        np.random.seed(5)
        random.seed(5)
        seen.append(site.samples(batch, sampling_rate=0.5))
    assert seen[0] != seen[1]
    noise = [move / move.norm() for move in moves]
    assert abs(float(noise[0] @ noise[1])) < 0.2
    assert not (moves[0] == moves[1]).any()


def test_the_process_wide_generators_are_left_alone(site: Site, make_batch: MakeBatch) -> None:
    batch, federation = make_batch(8), site.federation()
    model = site.model(federation)
    before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    site.train(batch, model=model, sampling_rate=0.5, steps=3)
    after = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_every_patient_is_drawn_for_themself_at_the_agreed_rate(site: Site, make_batch: MakeBatch) -> None:
    batch, steps, rate = make_batch(40), 400, 0.3
    batch.values["rna"][:, 0] = torch.arange(40.0)
    batch.observed["rna"][:] = True
    seen = site.samples(batch, sampling_rate=rate, steps=steps)
    assert len(seen) == steps
    drawn = torch.zeros(steps, 40)
    for step, values in enumerate(seen):
        patients = [int(value) for value in values]
        assert len(set(patients)) == len(patients)
        drawn[step, patients] = 1
    spread = (rate * (1 - rate)) ** 0.5
    assert float((drawn.mean(0) - rate).abs().max()) < 5.5 * spread / steps**0.5
    sizes = drawn.sum(1)
    assert float(sizes.mean()) == pytest.approx(12, abs=5.5 * spread * (40 / steps) ** 0.5)
    assert float(sizes.var()) == pytest.approx(40 * spread**2, rel=0.4)
    assert float(torch.corrcoef(drawn.t()).fill_diagonal_(0).abs().max()) < 6 / steps**0.5


def test_the_number_drawn_never_divides(site: Site, make_batch: MakeBatch) -> None:
    batch = make_batch(6)
    once = site.moved(batch, noise_multiplier=SILENT)
    twice = site.moved(concatenate([batch, batch]), noise_multiplier=SILENT)
    torch.testing.assert_close(twice, 2 * once, atol=2e-6, rtol=1e-4)
    assert float(site.moved(batch, noise_multiplier=SILENT, clip_norm=1e-3).norm()) <= 0.125 * 6e-3 * 1.01


@pytest.mark.parametrize("at_once", [1, 2, 4, 13])
def test_a_sample_in_slots_takes_the_same_step(site: Site, make_batch: MakeBatch, at_once: int) -> None:
    batch = make_batch(13)
    whole = site.moved(batch, noise_multiplier=SILENT, steps=2)
    parts = site.moved(batch, noise_multiplier=SILENT, steps=2, device=site.small(at_once))
    assert float(whole.norm()) > 0.1
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=0)


def test_parts_are_noised_once(site: Site, make_batch: MakeBatch) -> None:
    batch, two = make_batch(13), site.small(2)
    noise = site.moved(batch, device=two) - site.moved(batch, noise_multiplier=SILENT, device=two)
    assert float(noise.std()) == pytest.approx(0.125, rel=0.08)


def test_private_steps_learn(site: Site, make_batch: MakeBatch) -> None:
    batch, federation = make_batch(30), site.federation()

    def loss(model: HierarchicalMultimodalGNN) -> float:
        return float(patient_loss(model, batch, federation, site.cuts).sum().detach())

    fitted = site.train(batch, steps=40, noise_multiplier=0.1, expected_batch_size=30.0)
    assert loss(fitted) < 0.9 * loss(site.model(federation))


def test_the_pull_to_the_global_weights_is_neither_clipped_nor_noised(
    site: Site, make_batch: MakeBatch
) -> None:
    """With rate x mu = 1 the second step takes back the first one's noise and adds its own."""
    batch = make_batch(4)
    held = site.moved(
        batch, sampling_rate=NOBODY, steps=2, training={"strategy": "fedprox", "proximal_mu": 2.0}
    )
    free = site.moved(
        batch, sampling_rate=NOBODY, steps=2, training={"strategy": "fedavg", "proximal_mu": 2.0}
    )
    assert float(held.std()) == pytest.approx(0.125, rel=0.08)
    assert float(free.std()) == pytest.approx(0.125 * 2**0.5, rel=0.08)


def test_a_branch_that_the_hospital_has_no_table_of_stays_as_it_is(site: Site, make_batch: MakeBatch) -> None:
    batch = make_batch(8)
    batch.observed["imaging"][:] = False
    start = site.model(site.federation()).state_dict()
    end = site.train(batch, absent=frozenset({"imaging"})).state_dict()
    assert list(start) == list(end)
    for name in start:
        assert torch.equal(start[name], end[name]) == name.startswith("branches.imaging.")


def test_a_branch_that_only_today_s_patients_lack_is_noised_as_any_other(
    site: Site, make_batch: MakeBatch
) -> None:
    """Hold that only the presence of a table is public, and not which patient has an image."""
    batch = make_batch(8)
    batch.observed["imaging"][:] = False
    start, end = site.model(site.federation()).state_dict(), site.train(batch).state_dict()
    assert not any(torch.equal(start[name], end[name]) for name in start)


def test_linear_terms_train_additive_scores_and_biases_alone(site: Site, make_batch: MakeBatch) -> None:
    start = site.model(site.federation()).state_dict()
    end = site.train(make_batch(8), learn="linear").state_dict()
    for name in start:
        learnt = ".scores." in name or (name.startswith("heads.") and name.endswith(".bias"))
        assert torch.equal(start[name], end[name]) != learnt


@pytest.mark.parametrize("value", [torch.inf, torch.nan, 1e30])
def test_one_patient_s_values_cannot_make_a_round_fail(
    site: Site, make_batch: MakeBatch, value: float
) -> None:
    batch = make_batch(7)
    others = site.moved(batch.select(torch.arange(6)), noise_multiplier=SILENT)
    for name, seen in batch.observed.items():
        seen[6], batch.values[name][6] = True, value
    torch.testing.assert_close(site.moved(batch, noise_multiplier=SILENT), others, atol=1e-6, rtol=0)


def test_whether_weights_are_refused_does_not_depend_on_the_patients(
    site: Site, make_batch: MakeBatch
) -> None:
    for rate in (1.0, NOBODY):
        steep = site.model(site.federation())
        with torch.no_grad():
            steep.branches["rna"].embed.weight.mul_(1e30)  # type: ignore[union-attr, operator]
        site.train(make_batch(6), model=steep, sampling_rate=rate)
        broken = site.model(site.federation())
        with torch.no_grad():
            broken.patient.weight[0, 0] = torch.nan
        with pytest.raises(Refusal) as raised:
            site.train(make_batch(6), model=broken, sampling_rate=rate)
        assert raised.value.code is RefusalCode.TRAINING_DIVERGED


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_comes_back_as_it_was_but_for_its_weights(
    site: Site, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    batch, federation = make_batch(6), site.federation()
    model, fresh = site.model(federation), site.model(federation)
    if fails:
        del batch.labels["toxicity"]
        with pytest.raises(KeyError):
            site.train(batch, model=model, learn="linear", absent=frozenset({"imaging"}))
    else:
        site.train(batch, model=model, learn="linear", absent=frozenset({"imaging"}))
    assert all(own.requires_grad for own in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in model.modules())
    assert list(model.state_dict()) == list(fresh.state_dict())
    assert not any("_module" in name for name in model.state_dict())
    fresh.load_state_dict(model.state_dict())
