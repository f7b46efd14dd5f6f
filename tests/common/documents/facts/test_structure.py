import json
from dataclasses import replace
from math import isfinite
from pathlib import Path

import pytest

from common.documents.facts.structure import abstention_fact
from common.errors import InvalidContentError
from common.release.members import STRUCTURE
from common.release.release import ModelRelease, read_release
from common.structure.content import read_structure
from tests.common.documents.conftest import Released
from tests.common.structure import made
from tests.released import Coordinator


def with_structure(folder: Path, content: bytes) -> ModelRelease:
    coordinator = Coordinator(folder / "made", made.federation())
    path = folder / "made.zip"
    path.write_bytes(coordinator.made(members={**coordinator.members(), STRUCTURE: content})[1])
    return read_release(path, coordinator.key.public_key())


def test_every_check_is_told_with_its_limits(tmp_path: Path) -> None:
    content = made.learnt()
    assert content is not None
    fact = abstention_fact(with_structure(tmp_path, content))
    limits = read_structure(content, made.federation(), "made").limits
    assert len(fact.lines) == len(limits) + 1
    for limit, line, data in zip(limits, fact.lines, fact.data, strict=False):
        assert f"{limit.look:.3g}" in line
        assert ("no forecast" in line) is isfinite(limit.withheld)
        assert line.startswith(" and ".join(limit.modalities))
        assert data["look"] == limit.look
    json.dumps(fact.data, allow_nan=False)


def test_without_a_structure_nothing_is_checked(released: Released) -> None:
    assert not abstention_fact(released()).is_known


def test_a_structure_of_other_tables_is_refused(released: Released) -> None:
    content = made.learnt()
    assert content is not None
    release = released()
    with pytest.raises(InvalidContentError):
        abstention_fact(replace(release, members={**release.members, STRUCTURE: content}))
