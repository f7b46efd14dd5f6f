"""Names of genes: aliases and numbers by a file, dates of Excel, and no guess between two genes."""

from pathlib import Path

import pytest

from client.intake.changes import Notes
from client.intake.genes import renamed_genes
from client.rules.declaration import GeneRules
from common.errors import InputError

PATH = Path("rna.csv")


def renamed(names: list[str], asked: list[str], rules: GeneRules) -> tuple[list[str], Notes]:
    notes = Notes()
    return renamed_genes(PATH, names, asked, rules, "rna", notes), notes


def names_file(folder: Path, text: str) -> GeneRules:
    path = folder / "names.txt"
    path.write_text(text)
    return GeneRules(names=str(path))


HGNC = (
    "hgnc_id\tsymbol\talias_symbol\tprev_symbol\tentrez_id\tensembl_gene_id\n"
    "1\tTP53\tp53|LFS1\t\t7157\tENSG00000141510\n"
    "2\tERBB2\tHER2|NEU\tNGL\t2064\tENSG00000141736\n"
    "3\tLETMD1\tHCCR1\tLFS1\t25875\t\n"
)


@pytest.mark.parametrize("name", ["p53", "7157", "ENSG00000141510", "ENSG00000141510.17"])
def test_every_name_of_a_gene_in_hgnc_is_its_symbol(name: str, tmp_path: Path) -> None:
    result, notes = renamed([name, "HER2", "other"], ["TP53", "ERBB2"], names_file(tmp_path, HGNC))
    assert result == ["TP53", "ERBB2", "other"]
    assert [change.count for change in notes.changes] == [2]
    assert notes.problems == []


def test_a_name_of_two_asked_genes_is_left_and_counted(tmp_path: Path) -> None:
    rules = names_file(tmp_path, HGNC)
    result, notes = renamed(["LFS1"], ["TP53", "LETMD1"], rules)
    assert result == ["LFS1"]
    assert "1 column name" in notes.problems[0].what
    assert renamed(["LFS1"], ["TP53"], rules)[0] == ["TP53"], "of genes that are asked for it is one alone"


def test_an_alias_does_not_take_the_column_of_a_gene_that_is_there(tmp_path: Path) -> None:
    assert renamed(["TP53", "p53"], ["TP53"], names_file(tmp_path, HGNC))[0] == ["TP53", "p53"]


def test_a_file_of_two_columns_and_no_other(tmp_path: Path) -> None:
    assert renamed(["x1"], ["TP53"], names_file(tmp_path, "x1;TP53\n"))[0] == ["TP53"]
    with pytest.raises(InputError, match="two columns"):
        renamed(["x1"], ["TP53"], names_file(tmp_path, "x1;TP53;b\n"))
    with pytest.raises(InputError, match="no such file"):
        renamed(["x1"], ["TP53"], GeneRules(names=str(tmp_path / "none.csv")))


DATES = GeneRules(excel_dates=True)


@pytest.mark.parametrize(
    ("name", "asked", "expected"),
    [
        ("7-Sep", "SEPT7", "SEPT7"),
        ("7-Sep", "SEPTIN7", "SEPTIN7"),
        ("Sep-07", "SEPT7", "SEPT7"),
        ("1-Dec", "DELEC1", "DELEC1"),
        ("5-Mar", "MARCHF5", "MARCHF5"),
        ("5-Mar", "MARCH5", "MARCH5"),
        ("30-Sep", "SEPT7", "30-Sep"),
        ("7-Jan", "SEPT7", "7-Jan"),
    ],
)
def test_dates_of_excel_are_the_genes_that_they_were(name: str, asked: str, expected: str) -> None:
    assert renamed([name], [asked], DATES)[0] == [expected]


def test_march_1_is_one_of_two_genes_unless_the_other_is_there() -> None:
    result, notes = renamed(["1-Mar"], ["MARCHF1"], DATES)
    assert result == ["1-Mar"]
    assert "either of two genes" in notes.problems[0].what
    assert renamed(["1-Mar", "MARC1"], ["MARCHF1"], DATES)[0] == ["MARCHF1", "MARC1"]


def test_without_rules_names_stay() -> None:
    assert renamed(["1-Mar", "7157"], ["TP53"], GeneRules())[0] == ["1-Mar", "7157"]
