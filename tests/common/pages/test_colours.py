"""Contrast by WCAG 2.2, and distances of tones in Oklab as people see them who lack one kind of cone.

Simulation of missing cones: Machado, Oliveira and Fernandes (2009), severity 1. Oklab: Ottosson (2020).
"""

import itertools
from collections.abc import Mapping

import numpy as np
import pytest

from common.pages.colours import DARK, LIGHT, TONES, tone, variables

SIGHT = {
    "all cones": np.eye(3),
    "no red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no blue cones": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
OPPONENTS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(colour: str) -> np.ndarray:
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    light = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (first, second))
    return (light[1] + 0.05) / (light[0] + 0.05)


def oklab(colour: str, sight: np.ndarray) -> np.ndarray:
    seen = np.clip(sight @ linear(colour), 0, 1)
    return np.asarray(OPPONENTS @ np.cbrt(CONES @ seen))


THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])


@THEMES
def test_texts_can_be_read_on_every_paper(theme: Mapping[str, str]) -> None:
    for paper in ("paper", "panel", "good-paper", "warning-paper", "danger-paper"):
        assert contrast(theme["ink"], theme[paper]) >= 7
    for name in ("grey", "link", "good", "warning", "danger"):
        assert contrast(theme[name], theme["paper"]) >= 4.5
    assert contrast(theme["grey"], theme["panel"]) >= 4.5
    assert all(contrast(theme[name], theme[f"{name}-paper"]) >= 4.5 for name in ("good", "warning", "danger"))


@THEMES
def test_tones_are_seen_on_the_paper(theme: Mapping[str, str]) -> None:
    assert all(contrast(theme[f"tone-{number + 1}"], theme["paper"]) >= 3 for number in range(TONES))


@THEMES
@pytest.mark.parametrize("sight", SIGHT.values(), ids=SIGHT.keys())
def test_tones_stay_apart_for_every_kind_of_sight(theme: Mapping[str, str], sight: np.ndarray) -> None:
    tones = [theme[f"tone-{number + 1}"] for number in range(TONES)]
    for first, second in itertools.combinations(tones, 2):
        assert np.linalg.norm(oklab(first, sight) - oklab(second, sight)) > 0.1, (first, second)


def test_themes_have_the_same_names() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert f"--{tone(TONES).removeprefix('var(--').removesuffix(')')}: {LIGHT['tone-1']};" in variables(LIGHT)
