import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from common.json_output import plain, print_json


class Kind(Enum):
    FIRST = "first"


class Part(BaseModel):
    score: float
    days: tuple[date, ...] = ()


@dataclass(frozen=True)
class Whole:
    part: Part
    path: Path
    kinds: frozenset[str]


def test_records_within_records_are_plain_data() -> None:
    whole = Whole(Part(score=math.nan, days=(date(2026, 1, 2),)), Path("a/b"), frozenset({"y", "x"}))
    assert plain({1: whole, "kind": Kind.FIRST}) == {
        "1": {"part": {"score": None, "days": ["2026-01-02"]}, "path": "a/b", "kinds": ["x", "y"]},
        "kind": "first",
    }
    assert plain([np.float64(0.5), math.inf, True, datetime(2026, 1, 2, tzinfo=UTC)]) == [
        0.5, None, True, "2026-01-02T00:00:00+00:00",
    ]  # fmt: skip


def test_another_kind_of_value_is_refused() -> None:
    with pytest.raises(TypeError):
        plain(object())


def test_standard_output_is_json_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "Universitätsklinikum", "score": float("nan")})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"name": "Universitätsklinikum", "score": None}
    assert "Universitätsklinikum" in captured.out
    assert captured.err == ""
