"""Faults of a federation file: all of them, each with its line, the nearest key and what to do."""

from pathlib import Path

import pytest

from common.agreement.faults import FileFault, schema_faults
from common.agreement.federation import Federation, load
from common.agreement.loading import read_file
from common.errors import InvalidContentError

SOUND = """\
name = "lung"
[[modalities]]
name = "clinical"
node = "clinical"
columns = ["age", "bmi"]
ranges.age = { unit = "years", low = 0, high = 120 }
categories.sex = ["f", "m"]
[[tasks]]
kind = "survival"
name = "os"
time = "months"
event = "died"
unit = "months"
longest = 120
[training]
rounds = 20
[[participants]]
name = "A"
[[participants]]
name = "B"
"""


def faults(tmp_path: Path, *changes: tuple[str, str]) -> list[FileFault]:
    text = SOUND
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    (tmp_path / "federation.toml").write_text(text)
    return schema_faults(read_file(tmp_path / "federation.toml"), Federation)[1]


def test_a_sound_file_has_none(tmp_path: Path) -> None:
    assert faults(tmp_path) == []


def test_all_faults_are_found_at_once_with_their_lines(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        ("columns =", "colums ="),
        ("low = 0", "lo = 0"),
        ('["f", "m"]', '["f", "f"]'),
        ('unit = "months"', 'unit = "month"'),
        ("longest = 120\n", ""),
        ("rounds = 20", "rounds = 20\nlearning_rate = 7"),
    )

    assert [(fault.line, fault.key) for fault in found] == [
        (5, "modalities.0.colums"),
        (6, "modalities.0.ranges.age.lo"),
        (7, "modalities.0.categories.sex"),
        (8, "tasks.0.longest"),
        (13, "tasks.0.unit"),
        (16, "training.learning_rate"),
    ]
    assert found[0].nearest == "columns"
    assert "actionable" in found[0].allowed
    assert found[1].nearest == "low"


@pytest.mark.parametrize(
    ("before", "after", "key", "remedy"),
    [
        ("rounds = 20", "round = 20", "training.round", "write rounds"),
        ("rounds = 20", "quorum = 1.0", "training.quorum", "[rounds]"),
        ("rounds = 20", "colour = 1", "training.colour", "known here are"),
        ("longest = 120\n", "", "tasks.0.longest", "longest = 120"),
        ('node = "clinical"', 'node = "clinicl"', "modalities.0.node", "write clinical"),
        ('kind = "survival"', 'kind = "survivl"', "tasks.0", "write survival"),
        ("ranges.age", "ranges.agee", "modalities.0.ranges.agee", "write age"),
        ('name = "lung"', 'name = "our lungs"', "name", "letters, digits"),
        ('name = "B"', 'name = "B"\npatients = 5', "participants.0", "for A too"),
        ('name = "B"', 'name = "A"', "participants.1.name", "another name"),
        (
            'name = "B"',
            'name = "B"\n[display_names.columns.clinical]\nagee = "Age"',
            "display_names.columns.clinical.agee",
            "write age",
        ),
    ],
)
def test_a_fault_has_a_real_remedy(tmp_path: Path, before: str, after: str, key: str, remedy: str) -> None:
    first, *others = faults(tmp_path, (before, after))

    assert not others
    assert first.key == key
    assert remedy in first.remedy


def test_a_misspelt_key_does_not_hide_what_depends_on_it(tmp_path: Path) -> None:
    found = faults(tmp_path, ("columns =", "colums ="), ("ranges.age", "ranges.agee"))

    assert [fault.nearest or fault.remedy for fault in found] == ["columns", "write age"]


def test_a_wrong_value_is_not_followed_by_what_its_default_would_contradict(tmp_path: Path) -> None:
    found = faults(tmp_path, ('columns = ["age", "bmi"]', 'columns = "age"'))

    assert [fault.key for fault in found] == ["modalities.0.columns"]


def test_loading_says_the_first_and_how_many_there_are(tmp_path: Path) -> None:
    faults(tmp_path, ("columns =", "colums ="), ("rounds =", "round ="))

    with pytest.raises(InvalidContentError) as raised:
        load(tmp_path / "federation.toml")
    assert "modalities.0.colums" in raised.value.where
    assert "1 more" in raised.value.remedy
    assert "consilium federation check" in raised.value.remedy
