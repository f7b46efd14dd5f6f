"""Cohort sources are looked up by name or by the form of a name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import InputError, RegistrationError
from simulations.cohorts.registry import SOURCES, CohortRequest, register_source, source_of, sources
from simulations.cohorts.sources import cohort_sources, write_cohort


@pytest.fixture(autouse=True)
def _no_source_stays() -> Iterator[None]:
    before = dict(SOURCES)
    yield
    SOURCES.clear()
    SOURCES.update(before)


def test_a_registered_source_writes_the_cohorts_of_its_name_or_pattern(tmp_path: Path) -> None:
    asked: list[CohortRequest] = []
    register_source("mine", lambda request, out: asked.append(request), summary="mine")
    register_source("lab-N", lambda request, out: asked.append(request), summary="lab", pattern=r"lab-\d+")
    write_cohort("mine", None, tmp_path, seed=3)
    write_cohort("lab-12", tmp_path, tmp_path)
    assert asked == [CohortRequest("mine", seed=3), CohortRequest("lab-12")]
    assert [source.name for source in sources()][-2:] == ["mine", "lab-N"]
    assert "mine" in {source.name for source in cohort_sources()}


def test_a_name_is_taken_once() -> None:
    taken = source_of("lung")
    with pytest.raises(RegistrationError):
        register_source("lung", lambda request, out: None, summary="another")
    assert source_of("lung") is taken


@pytest.mark.parametrize("name", ["", "a/b", "../lung", "-lung", "two words", "tcga-brca"])
def test_a_name_that_would_be_a_folder_s_or_another_source_s_is_refused(name: str) -> None:
    before = sources()
    with pytest.raises(RegistrationError):
        register_source(name, lambda request, out: None, summary="")
    assert sources() == before


def test_an_unfit_pattern_or_writer_is_refused() -> None:
    for pattern in ("(", "l.*"):
        with pytest.raises(RegistrationError):
            register_source("mine", lambda request, out: None, summary="", pattern=pattern)
    writer: Any = None
    with pytest.raises(RegistrationError):
        register_source("mine", writer, summary="")


def test_only_a_source_that_can_be_made_to_measure_takes_a_size(tmp_path: Path) -> None:
    asked: list[CohortRequest] = []
    register_source("sized", lambda request, out: asked.append(request), summary="", is_sizable=True)
    write_cohort("sized", None, tmp_path, hospitals=2, patients=9)
    assert (asked[0].hospitals, asked[0].patients) == (2, 9)
    with pytest.raises(InputError):
        write_cohort("lung", None, tmp_path, hospitals=2)


def test_a_name_that_no_source_knows_is_refused_with_all_names() -> None:
    with pytest.raises(InputError) as refused:
        source_of("mnist")
    assert all(source.name in refused.value.remedy for source in sources())
