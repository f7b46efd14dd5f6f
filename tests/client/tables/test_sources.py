"""Columns of CSV and Parquet are read by position and alone, whatever stands beside them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from client.tables.header import Wanted
from client.tables.sources import Source, open_source
from common.errors import InputError, UnreadableFileError

WANTED = Wanted("clinical", "patient", ["age", "stage"], categories={"stage": ["NA", "I"]}, texts=["centre"])


def columns(source: Source, *names: str) -> pd.DataFrame:
    return source.read({name: list(source.names).index(name) for name in names}, WANTED)


def csv(folder: Path, text: str) -> Source:
    (folder / "a.csv").write_text(text, encoding="utf-8")
    return open_source(folder / "a.csv", WANTED)


def test_a_level_that_stands_for_missing_elsewhere_is_one_in_its_own_column_alone(tmp_path: Path) -> None:
    source = csv(tmp_path, "patient,age,stage\n1,NA,NA\n2,61,I\n3,62,None\n")
    frame = columns(source, "age", "stage")
    assert frame["age"].isna().tolist() == [True, False, False]
    assert frame["age"].dtype == np.float64
    assert frame["stage"].tolist()[:2] == ["NA", "I"]
    assert pd.isna(frame["stage"].iloc[2])


def test_identifiers_levels_and_groups_keep_their_zeros(tmp_path: Path) -> None:
    source = csv(tmp_path, "patient,stage,centre,age\n001,01,007,08\n")
    frame = columns(source, "patient", "stage", "centre", "age")
    assert frame.iloc[0].tolist() == ["001", "01", "007", 8]


def test_a_name_that_stands_twice_is_read_by_position(tmp_path: Path) -> None:
    source = csv(tmp_path, "patient,x,x,age\n1,2,3,4\n")
    assert source.names == ["patient", "x", "x", "age"]
    assert columns(source, "age")["age"].tolist() == [4]


def test_first_cells_are_those_below_the_names(tmp_path: Path) -> None:
    assert list(csv(tmp_path, "patient,age,stage\na,1,I\nb,2,I\n").first_cells()) == ["a", "b"]
    pd.DataFrame({"patient": ["a", "b"]}).to_parquet(tmp_path / "a.pq")
    assert list(open_source(tmp_path / "a.pq", WANTED).first_cells()) == ["a", "b"]


def test_an_index_that_pandas_wrote_is_a_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": [61]}, index=pd.Index(["P1"], name="patient"))
    frame.to_parquet(tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet", WANTED)
    assert columns(source, "patient", "age").iloc[0].tolist() == ["P1", 61]
    assert columns(source, "age")["age"].tolist() == [61]


def test_a_parquet_column_that_stands_twice_does_not_matter_where_it_is_not_read(tmp_path: Path) -> None:
    table = pa.table([pa.array(["P1"]), pa.array([61]), pa.array([62])], names=["patient", "x", "x"])
    pq.write_table(table, tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet", WANTED)
    assert source.names == ["patient", "x", "x"]
    assert columns(source, "patient")["patient"].tolist() == ["P1"]


def test_parquet_that_is_cut_off_is_told(tmp_path: Path) -> None:
    pd.DataFrame({"patient": ["CANARY-8371"] * 1000}).to_parquet(tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableFileError, match="damaged or cut off") as raised:
        open_source(tmp_path / "a.parquet", WANTED)
    assert "CANARY" not in str(raised.value)


def test_an_open_quotation_mark_in_the_last_row_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="quotation mark"):
        columns(csv(tmp_path, 'patient,age,stage\n1,61,I\n2,62,"I'), "age")
