import numpy as np
import pytest
import torch
from scipy.stats import kstest

from client.privacy.randomness import ZEROS, SecretRandom


def test_two_sources_share_nothing() -> None:
    first, second = (SecretRandom().uniform(20_000) for _ in range(2))
    assert not set(first.tolist()) & set(second.tolist())
    assert len(set(first.tolist())) == 20_000
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05


def test_one_source_goes_on_and_does_not_repeat() -> None:
    source = SecretRandom()
    drawn = np.concatenate([source.normal(1000), source.normal(1000)])
    assert len(np.unique(drawn)) == 2000


def test_torch_s_reproducibility_seed_has_no_say() -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(42)
        drawn.append(SecretRandom().normal(100))
    assert not np.isclose(drawn[0], drawn[1], rtol=1e-6).any()
    torch.manual_seed(42)
    expected = torch.rand(4)
    torch.manual_seed(42)
    SecretRandom().normal(100)
    assert torch.equal(torch.rand(4), expected), "and secret draws leave torch's own stream where it was"


def test_uniform_numbers_are_uniform_on_a_grid_of_53_bits() -> None:
    drawn = SecretRandom().uniform(100_000)
    assert drawn.dtype == np.float64
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert not ((drawn * 2.0**53) % 1).any()
    assert kstest(drawn, "uniform").pvalue > 1e-6


def test_sampling_at_a_rate_takes_that_share() -> None:
    rate, patients = 0.05, 200_000
    taken = int((SecretRandom().uniform(patients) < rate).sum())
    assert abs(taken - rate * patients) < 6 * (rate * (1 - rate) * patients) ** 0.5


def test_normal_numbers_are_standard_normal() -> None:
    """Bounds are six standard errors: a false alarm once in hundreds of millions of runs."""
    count = 200_000
    drawn = SecretRandom().normal(count)
    assert drawn.dtype == np.float64
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(float((drawn**power).mean()) - moment) < 6 * (variance / count) ** 0.5
    assert kstest(drawn, "norm").pvalue > 1e-6
    assert np.abs(drawn).max() < 8.6


def test_the_two_halves_of_a_draw_are_independent() -> None:
    """Cosine and sine of one angle share their radius; a mistake there shows in the squares."""
    first, second = SecretRandom().normal(200_000).reshape(2, -1)
    limit = 6 / 100_000**0.5
    assert abs(np.corrcoef(first, second)[0, 1]) < limit
    assert abs(np.corrcoef(first**2, second**2)[0, 1]) < 2 * limit


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_any_number_can_be_drawn(count: int) -> None:
    source = SecretRandom()
    for drawn in (source.uniform(count), source.normal(count)):
        assert drawn.shape == (count,)
        assert drawn.dtype == np.float64
        assert np.isfinite(drawn).all()


def test_why_a_torch_generator_will_not_do() -> None:
    """It takes 64 bits and keeps 32: all it can ever draw, a coordinator can draw too."""
    seed = int.from_bytes(b"consiliu", "big") >> 1
    drawn = [torch.randn(8, generator=torch.Generator().manual_seed(s)) for s in (seed, seed + 2**32)]
    assert torch.equal(*drawn)


def test_normal_numbers_are_those_of_box_and_muller_to_the_last_digits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    radius, angle = np.random.default_rng(0).random((2, 10_000))
    angle[:5] = 0, 0.25, 0.5, 0.75, 1 - 2**-53
    monkeypatch.setattr(SecretRandom, "uniform", lambda self, count: np.concatenate([radius, angle]))
    drawn = SecretRandom().normal(20_000).reshape(2, -1)
    length, turned = np.sqrt(-2 * np.log(1 - radius)), 2 * np.pi * angle
    for numbers, expected in zip(drawn, (length * np.cos(turned), length * np.sin(turned)), strict=True):
        np.testing.assert_allclose(numbers, expected, rtol=0, atol=2e-14)


@pytest.mark.parametrize("count", [0, 1, ZEROS.nbytes // 8, 2 * ZEROS.nbytes // 8 + 3])
def test_a_draw_of_any_length_never_repeats(count: int) -> None:
    assert len(np.unique(SecretRandom().uniform(count))) == count
    assert SecretRandom().normal(count).shape == (count,)
