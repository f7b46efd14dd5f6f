"""Scaling and hazard intervals that come from the federation file alone."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import lognorm

from common.agreement.federation import Federation
from common.agreement.modalities import LARGEST, Modality, Plausible
from common.agreement.privacy_settings import Privacy
from common.errors import InvalidContentError
from common.messages.statistics import SiteStatistics
from common.patients.batch import PatientBatch
from common.patients.preprocessing import combine, declared
from common.tasks.survival import SurvivalTask
from tests.common.columns import one_number


@pytest.mark.parametrize(
    ("changes", "center", "spread"),
    [
        ({"plausible": {"typical": [50, 70]}}, 60, 10),
        ({"plausible": {"low": 0, "high": 120, "typical": [50, 70]}}, 60, 10),
        ({"plausible": {"typical": [0.1, 0.3]}}, 0.2, 0.1),
        ({"plausible": {"typical": [50, 70]}, "ranges": {"G": {"low": 0, "high": 60}}}, 30, 10),
        ({"plausible": {"typical": [np.e - 1, np.e**3 - 1]}, "transform": "signed_log"}, 2, 1),
        ({"plausible": {"typical": [-3, 9]}, "clip": [-5, 5]}, 1, 4),
        ({"plausible": {"typical": [6, 9]}, "clip": [-5, 5]}, 0, 1),
        ({"plausible": {"low": -100}, "clip": [-5, 5]}, 0, 1),
        ({"plausible": {"low": 0, "high": 1}}, 0, 1),
        ({"plausible": {"low": -LARGEST, "high": LARGEST}}, 0, 1),
        ({"plausible": {"low": 0, "high": 120}}, 60, 20),
        ({"plausible": {"low": -120, "high": 0}}, -60, 20),
        ({"plausible": {"low": 0, "high": np.expm1(12)}, "transform": "signed_log"}, 6, 2),
        ({"transform": "signed_log"}, 0, 1),
        ({}, 0, np.inf),
        ({"plausible": {"low": 0}}, 0, np.inf),
        ({"plausible": {"high": 0}}, 0, np.inf),
        ({"scale": "none"}, 0, 1),
        ({"plausible": {"typical": [50, 70]}, "scale": "none"}, 0, 1),
    ],
)
def test_declared_scaling_comes_from_the_file_alone(
    changes: dict[str, object], center: float, spread: float
) -> None:
    plain = one_number().model_dump(mode="json")
    plain["modalities"][0] |= {"categories": {"sex": ["f", "m"]}} | changes
    found = declared(Federation.model_validate(plain, strict=False))
    np.testing.assert_allclose(found.center["rna"], [center, 0, 0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.spread["rna"], [spread, 1, 1], rtol=1e-6)
    assert found.center["rna"].dtype == found.spread["rna"].dtype == torch.float32


@pytest.mark.parametrize(
    ("unit", "longest", "typical", "low", "high"),
    [
        ("months", 600, (8, 60), 8, 60),
        ("days", 5000, (90, 700), 90, 700),
        ("months", 600, None, 600 * np.exp(-3.5), 600 * np.exp(-1.5)),
        ("days", 20000, None, 20000 * np.exp(-3.5), 20000 * np.exp(-1.5)),
        ("years", 10, None, 10 * np.exp(-3.5), 10 * np.exp(-1.5)),
    ],
)
def test_declared_hazard_intervals_hold_equal_shares_of_a_log_normal(
    unit: str, longest: float, typical: tuple[float, float] | None, low: float, high: float
) -> None:
    task = {"kind": "survival", "name": "s", "time": "t", "event": "e", "bins": 4}
    plain = one_number().model_dump(mode="json")
    plain["tasks"] = [task | {"unit": unit, "longest": longest, "typical": typical}]
    found = declared(Federation.model_validate(plain, strict=False)).cuts["s"]
    middle, deviation = np.log1p([low, high]).mean(), np.ptp(np.log1p([low, high])) / 2
    expected = lognorm(s=deviation, scale=np.exp(middle)).ppf([1 / 4, 2 / 4, 3 / 4, 3.5 / 4]) - 1
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == torch.float32


def test_only_under_noise_what_no_site_could_report_is_as_declared(
    make_federation: Callable[..., Federation], make_batch: Callable[..., PatientBatch]
) -> None:
    blood = Modality(
        name="clinical", node="clinical", columns=("age", "crp"), plausible=Plausible(typical=(50, 70))
    )
    privacy = Privacy(noise_multiplier=1.0, sampling_rate=0.1, expected_batch_size=10)
    task = SurvivalTask(name="survival", time="t", event="e", unit="months", longest=600)
    sums = np.array([[0.0, 4.0], [0.0, 8.0], [0.0, 80.0]])
    nothing = SiteStatistics({"modality:clinical": sums, "survival:survival": np.zeros((3, 1))}, {})
    for statistics in ("declared", "public", "noised"):
        held = privacy.model_copy(update={"statistics": statistics})
        federation = make_federation(modalities=(blood,), tasks=(task,), privacy=held)
        if statistics != "noised":
            with pytest.raises(InvalidContentError) as refused:
                combine([nothing], federation)
            assert refused.value.where == "task survival"
            continue
        found = combine([nothing], federation)
        assert found.center["clinical"].tolist() == [60, 2]
        assert found.spread["clinical"].tolist() == [10, 4]
        assert torch.equal(found.cuts["survival"], declared(federation).cuts["survival"])
