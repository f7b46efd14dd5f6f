"""Columns are found by name as it is seen; one that is missing or there twice is a problem with its likely cause."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from client.tables.header import Wanted, located
from common.errors import InputError

PATH = Path("clinical.csv")
WANTED = Wanted("clinical", "patient", ["age", "sex"])
GENES = [f"GENE{number}" for number in range(400)]
RNA = Wanted("rna", "patient", GENES)


def problems(
    names: Iterable[str], wanted: Wanted = WANTED, first_cells: Iterable[str] = ()
) -> list[InputError]:
    _, faults = located(PATH, list(names), wanted, lambda: first_cells)
    assert not any("CANARY" in str(fault) for fault in faults)
    return faults


def problem(names: Iterable[str], wanted: Wanted = WANTED, first_cells: Iterable[str] = ()) -> InputError:
    (fault,) = problems(names, wanted, first_cells)
    return fault


def test_columns_have_positions_under_the_hospitals_names() -> None:
    wanted = Wanted("clinical", "id", ["age", "sex"], {"age": "Alter"}, numbers=["fold"], texts=["centre"])
    positions, faults = located(PATH, ["x", "sex", "Alter", "id", "fold", "x"], wanted, tuple)
    assert positions == {"id": 3, "Alter": 2, "sex": 1, "fold": 4}
    assert faults == []


def test_a_name_of_the_site_file_is_looked_for_as_it_is_seen() -> None:
    wanted = Wanted("clinical", "id", ["size"], {"size": "Gr\u00f6\u00dfe\u00a0(cm)"})
    positions, _ = located(PATH, ["id", "Gr\u00f6\u00dfe (cm)"], wanted, tuple)
    assert set(positions.values()) == {0, 1}


def test_a_column_that_is_there_twice_is_named_and_others_may_be() -> None:
    assert problems(["patient", "age", "sex", "note", "note"]) == []
    fault = problem(["patient", "age", "sex", "age"])
    assert fault.where == "clinical.csv, column age"
    assert "more than once" in fault.what
    many = problem(["patient", *GENES, *GENES], RNA)
    assert many.what.startswith(
        "400 columns are in the header more than once, such as GENE0, GENE1 and GENE2"
    )


def test_one_missing_column_is_named_with_both_ways_to_give_it() -> None:
    fault = problem(["patient", "sex", "CANARY-8371"])
    assert (fault.where, fault.what) == ("clinical.csv, column age", "is missing")
    assert "[columns.clinical]" in fault.remedy


def test_identifiers_are_not_to_be_mapped_as_a_column_which_the_site_file_would_refuse() -> None:
    fault = problem(["ID", "age", "sex"])
    assert fault.where == "clinical.csv, column patient"
    assert "columns" not in fault.remedy
    assert "id" in fault.remedy


def test_many_missing_columns_are_one_problem() -> None:
    fault = problem(["patient", *GENES[:100], "other"], RNA)
    assert fault.what.startswith(
        "300 of the 401 columns asked for are missing, such as GENE100, GENE101 and GENE102"
    )
    assert "[columns.rna]" in fault.remedy
    nothing = problem(["CANARY-8371"], RNA)
    assert nothing.what.startswith("none of the 401 columns asked for is there")
    assert "first row" in nothing.remedy
    assert "id" in nothing.remedy


@pytest.mark.parametrize(
    ("names", "what", "remedy"),
    [
        ([f"ENSG{number:011d}.3" for number in range(400)], "Ensembl", "gene symbols"),
        ([f"ENSMUSG{number:011d}" for number in range(400)], "Ensembl", "gene symbols"),
        ([str(number) for number in range(400)], "Entrez", "gene symbols"),
        ([name.lower() for name in GENES], "400 of them are there", "name them as"),
        ([*GENES[:398], "2-Sep", "Mar-01"], "2 columns have a date", "as text"),
    ],
)
def test_another_naming_of_genes_is_recognised(names: list[str], what: str, remedy: str) -> None:
    fault = problem(["patient", *names], RNA)
    assert what in fault.what
    assert remedy in fault.remedy


def test_a_column_that_differs_in_case_or_punctuation_is_shown_with_the_line_to_write() -> None:
    fault = problem(["patient", "AGE", "sex"])
    assert "AGE is there" in fault.what
    assert 'age = "AGE" under [columns.clinical]' in fault.remedy
    positions, faults = located(
        PATH, ["patient", "AGE", "sex"], Wanted("clinical", "patient", ["age", "sex"], {"age": "AGE"}), tuple
    )
    assert (positions["AGE"], faults) == (1, []), "the remedy to the letter"
    assert 'id = "Patient"' in problem(["Patient", "age", "sex"]).remedy


def test_genes_in_rows_are_recognised() -> None:
    fault = problem(["gene", "CANARY-8371", "CANARY-8372"], RNA, GENES)
    assert "400 of them are in rows" in fault.what
    assert "a row for each patient" in fault.remedy


def test_a_table_without_a_row_of_names_is_recognised() -> None:
    fault = problem(["CANARY-8371", "61", "25.1", "2"])
    assert "first row" in fault.what
    assert "names of the columns" in fault.remedy
