"""Groups that patients are divided into, by hospital, sex and age."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch

from common.agreement.display_names import DisplayNames
from common.agreement.federation import Federation
from common.agreement.modalities import Modality, Plausible
from common.errors import OptionError
from common.patients.batch import PatientBatch
from simulations.families.patients.divisions import divisions

MakeFederation = Callable[..., Federation]


@dataclass(frozen=True)
class Site:
    """The parts of a cohort by which patients are divided."""

    site: str
    batch: PatientBatch
    raw: dict[str, torch.Tensor] = field(default_factory=dict)


def site(name: str, values: list[list[float]], observed: list[list[int]] | None = None) -> Site:
    seen = torch.tensor(observed or [[1] * len(values[0])] * len(values)).bool()
    return Site(name, PatientBatch({"clinical": torch.tensor(values)}, {"clinical": seen}, {}, {}))


def with_columns(
    make: MakeFederation,
    columns: list[str],
    ranges: dict[str, Plausible] | None = None,
    **categories: tuple[str, ...],
) -> Federation:
    modality = Modality(
        name="clinical", node="clinical", columns=columns, categories=categories, ranges=ranges or {}
    )
    return make(modalities=[modality])


def test_hospital_sex_and_thirds_of_age(make_federation: MakeFederation) -> None:
    federation = with_columns(make_federation, ["bmi", "age_at_diagnosis", "SEX"])
    ages = [31.0, 44.0, 52.0, 61.0, 70.0, 83.0]
    first = site("north", [[20, age, 1] for age in ages[:4]])
    second = site("south", [[30, age, 2] for age in ages[4:]])
    divided = divisions([first, second], federation)  # type: ignore[list-item]
    assert list(divided) == ["hospital", "SEX", "age_at_diagnosis"]
    assert divided["hospital"].tolist() == ["north"] * 4 + ["south"] * 2
    assert divided["SEX"].tolist() == ["1"] * 4 + ["2"] * 2
    low, middle, high = "up to 49.3", "over 49.3, up to 64", "over 64"
    assert divided["age_at_diagnosis"].tolist() == [low, low, middle, middle, high, high]


def test_an_age_in_years_has_fixed_bands(make_federation: MakeFederation) -> None:
    federation = with_columns(make_federation, ["age"], {"age": Plausible(unit="years")})
    ages = [18.0, 49.9, 50.0, 64.9, 65.0, 74.9, 75.0, 101.0, 0.0]
    one = site("one", [[age] for age in ages], [[1]] * 8 + [[0]])
    bands = divisions([one], federation)["age"].tolist()  # type: ignore[list-item]
    assert bands[::2] == ["under 50", "50 to 64", "65 to 74", "75 and over", ""]
    assert bands[1::2] == ["under 50", "50 to 64", "65 to 74", "75 and over"]
    # the table's own numbers, not what the model is given
    logged = Site("one", one.batch.select(torch.arange(8)), {"clinical": torch.tensor(ages[:8])[:, None] / 2})
    assert set(divisions([logged], federation)["age"]) == {"under 50", "50 to 64"}  # type: ignore[list-item]


def test_columns_that_are_asked_for_divide_too(make_federation: MakeFederation) -> None:
    federation = with_columns(make_federation, ["bmi"], stage=("I", "II"))
    values = [[float(number), number % 2, 1 - number % 2] for number in range(9)]
    patients = [site("one", values)]
    assert not divisions(patients, federation)  # type: ignore[arg-type]
    divided = divisions(patients, federation, ["stage", "bmi"])  # type: ignore[arg-type]
    assert divided["stage"].tolist() == ["II", "I"] * 4 + ["II"]
    assert len(set(divided["bmi"])) == 3
    with pytest.raises(OptionError, match="--subgroups weight"):
        divisions(patients, federation, ["weight"])  # type: ignore[arg-type]


def test_patients_whose_value_is_not_known_are_in_no_group(make_federation: MakeFederation) -> None:
    federation = with_columns(make_federation, ["age"], gender=("f", "m"))
    known = [[50.0, 1, 0], [60.0, 0, 1], [0.0, 0, 0]]
    divided = divisions([site("one", known, [[1, 1, 1], [1, 1, 1], [0, 0, 0]])], federation)  # type: ignore[list-item]
    assert "hospital" not in divided
    assert divided["gender"].tolist() == ["f", "m", ""]
    assert divided["age"].tolist() == ["up to 53.3", "over 56.7", ""]


@pytest.mark.parametrize("columns", [["stage", "dosage", "sexual_health"], ["image_size"]])
def test_other_columns_divide_nobody(make_federation: MakeFederation, columns: list[str]) -> None:
    values = [[float(number)] * len(columns) for number in range(4)]
    two = [site("one", values), site("two", values)]
    assert list(divisions(two, with_columns(make_federation, columns))) == ["hospital"]  # type: ignore[arg-type]


def test_groups_have_the_words_of_the_federation_file(make_federation: MakeFederation) -> None:
    plain = with_columns(make_federation, ["bmi"], sex=("1", "2"))
    (clinical, *_) = (part.name for part in plain.modalities if "sex" in part.categories)
    names = {
        "columns": {clinical: {"sex": "Sex"}},
        "levels": {clinical: {"sex": {"1": "male", "2": "female"}}},
    }
    federation = plain.model_copy(update={"display_names": DisplayNames.model_validate(names)})
    patients = [site("one", [[20.0, 1, 0], [21.0, 0, 1]], [[1, 1, 1], [1, 1, 1]])]
    assert divisions(patients, federation)["Sex"].tolist() == ["male", "female"]  # type: ignore[arg-type]
