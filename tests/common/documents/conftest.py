"""A release of a small model, and the facts about it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from common.agreement.federation import Federation
from common.documents.facts.fact import Facts
from common.documents.facts.facts import facts_of
from common.release.card import Card
from common.release.members import CARD
from common.release.release import ModelRelease, read_release
from tests.released import Coordinator

Released = Callable[..., ModelRelease]


@pytest.fixture
def released(federation: Federation, tmp_path: Path) -> Released:
    """Makes a release of the federation with changes, whose card has changes."""

    def make(changes: dict[str, object] | None = None, **of_card: object) -> ModelRelease:
        data = federation.model_dump(mode="json") | (changes or {})
        changed = Federation.model_validate(data, strict=False)
        coordinator = Coordinator(tmp_path / changed.digest, changed)
        members = coordinator.members()
        card = Card.model_validate_json(members[CARD]).model_copy(update=of_card)
        content = coordinator.made(members={**members, CARD: card.model_dump_json().encode()})[1]
        path = tmp_path / "release.zip"
        path.write_bytes(content)
        return read_release(path, coordinator.key.public_key())

    return make


@pytest.fixture
def release(released: Released) -> ModelRelease:
    return released()


@pytest.fixture
def facts(release: ModelRelease) -> Facts:
    return facts_of(release)
