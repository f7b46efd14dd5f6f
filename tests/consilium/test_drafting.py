"""New federation files: from a data dictionary to a file that passes the check."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from common.agreement.federation import FILE_NAME, load
from common.checking.checking import check
from consilium.federation_cli import federation_app

runner = CliRunner()
PLAIN = """\
name,type,unit,low,high,levels,label
age,number,years,18,100,,Age at diagnosis
sex,category,,,,f|m,
months,number,months,0,120,,
died,category,,,,0|1,
"""
REDCAP = """\
Variable / Field Name,Form Name,Field Type,Field Label,"Choices, Calculations, OR Slider Labels",\
Text Validation Type OR Show Slider Number,Text Validation Min,Text Validation Max,Identifier?
record_id,a,text,Record,,,,,y
age,a,text,Age,,integer,18,100,
sex,a,radio,Sex,"1, Male | 2, Female",,,,
smoker,a,yesno,Smoker,,,,,
notes,a,notes,Notes,,,,,
months,a,text,Follow-up,,number,0,200,
died,a,yesno,Died,,,,,
"""
OPTIONS = ["--study", "survival", "--name", "lung", "--outcome", "months", "--outcome", "died"]
HOSPITALS = ["--hospital", "A", "--hospital", "B", "--hospital", "C", "--patients", "200"]


def new(tmp_path: Path, text: str, *options: str) -> tuple[int, str]:
    (tmp_path / "dictionary.csv").write_text(text)
    arguments = ["new", str(tmp_path / "out"), "--dictionary", str(tmp_path / "dictionary.csv")]
    result = runner.invoke(federation_app, [*arguments, *options])
    return result.exit_code, result.output


@pytest.mark.parametrize("epsilon", [(), ("--epsilon", "3")])
@pytest.mark.parametrize("text", [PLAIN, REDCAP])
def test_a_dictionary_becomes_a_file_that_passes_the_check(
    tmp_path: Path, text: str, epsilon: tuple[str, ...]
) -> None:
    code, _ = new(tmp_path, text, *OPTIONS, *HOSPITALS, *epsilon)

    assert code == 0
    assert check(tmp_path / "out", trained=False).faults == ()
    federation = load(tmp_path / "out" / FILE_NAME)
    clinical = federation.modality("clinical")
    assert clinical.columns == ("age",)
    assert (clinical.ranges["age"].low, clinical.ranges["age"].high) == (18, 100)
    assert federation.tasks[0].columns == ("months", "died")
    assert (federation.privacy is not None) == bool(epsilon)


def test_redcap_choices_become_levels_with_words_and_identifiers_are_left_out(tmp_path: Path) -> None:
    code, output = new(tmp_path, REDCAP, *OPTIONS, *HOSPITALS, "--json")

    federation = load(tmp_path / "out" / FILE_NAME)
    assert code == 0
    assert federation.modality("clinical").categories == {"sex": ("1", "2"), "smoker": ("0", "1")}
    assert federation.display_names.level("clinical", "sex", "2") == "Female"
    assert federation.tasks[0].model_dump()["longest"] == 200
    assert [sentence.partition(":")[0] for sentence in json.loads(output)["left_out"]] == [
        "record_id",
        "notes",
    ]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("a,b\n1,2\n", (*OPTIONS, *HOSPITALS)),
        (PLAIN.replace("number,years", "numbr,years"), (*OPTIONS, *HOSPITALS)),
        (PLAIN, ("--study", "cox", *HOSPITALS)),
        (PLAIN, OPTIONS),
        (PLAIN, (*OPTIONS, *HOSPITALS, "--unit", "weeks")),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    tmp_path: Path, text: str, options: tuple[str, ...]
) -> None:
    code, output = new(tmp_path, text, *options)

    assert code == 2
    assert "Traceback" not in output
    assert not (tmp_path / "out").exists()
