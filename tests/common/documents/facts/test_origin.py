from dataclasses import replace

from common.documents.facts.fact import Topic
from common.documents.facts.facts import facts_of
from common.documents.facts.origin import data_facts, origin_facts
from common.installed_code import Software
from tests.common.documents.conftest import Released

PRIVACY = {"noise_multiplier": 1.0, "sampling_rate": 0.1, "expected_batch_size": 4.0}


def test_an_unverified_release_says_so(released: Released) -> None:
    release = released()
    signed = origin_facts(release)[Topic.ORIGIN]
    unsigned = origin_facts(replace(release, signer=None))[Topic.ORIGIN]
    assert release.signer is not None
    assert release.signer in signed.text
    assert "not known" in unsigned.text


def test_a_release_of_an_earlier_version_names_no_software(released: Released) -> None:
    software = Software(consilium="0.1.0", code="ab" * 32, torch="2.13.0")
    assert not origin_facts(released())[Topic.SOFTWARE].is_known
    assert software.code in origin_facts(released(software=software))[Topic.SOFTWARE].text


def test_numbers_and_absent_hospitals_are_told(released: Released) -> None:
    facts = data_facts(released(hospitals=("one",), validated=12))
    assert facts[Topic.HOSPITALS].data == {"took_part": ["one"], "absent": ["two"]}
    assert facts[Topic.RECORDS].data == {"trained": 60, "validated": 12, "declared": None}
    assert {"60", "12"} <= set(facts[Topic.RECORDS].text.split())


def test_patients_who_chose_nothing_are_told(released: Released) -> None:
    training = {"rounds": 3, "validation_fraction": 0.2, "calibration_fraction": 0.1}
    split = data_facts(released({"training": training}))[Topic.SPLIT]
    assert split.data == {"validation_fraction": 0.2, "calibration_fraction": 0.1, "test_fraction": 0.0}
    assert all(share in split.text for share in ("20%", "10%"))
    assert "10%" not in data_facts(released())[Topic.SPLIT].text


def test_numbers_that_hospitals_keep_are_not_made_up(released: Released) -> None:
    release = released({"privacy": PRIVACY}, records=None, private=True, validation_loss=None)
    facts = facts_of(release)
    assert facts[Topic.RECORDS].data["trained"] is None
    assert "15%" not in facts[Topic.SPLIT].text
