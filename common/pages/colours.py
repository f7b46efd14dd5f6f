"""Colours of pages and charts in a light and a dark theme.

Texts have a contrast of 4.5 with the paper, tones of charts one of 3 (WCAG 2.2, 1.4.3 and 1.4.11). Tones also differ
where one kind of cone is missing; charts give every tone dashes and a mark as well.
"""

from collections.abc import Mapping
from types import MappingProxyType

LIGHT: Mapping[str, str] = MappingProxyType(
    {
        "paper": "#ffffff",
        "panel": "#f4f5f7",
        "ink": "#1a1a1a",
        "grey": "#5c5f66",
        "rule": "#d5d8dd",
        "link": "#0a4fb5",
        "good": "#12693f",
        "good-paper": "#e7f5ed",
        "warning": "#7a4b00",
        "warning-paper": "#fff4dc",
        "danger": "#a3160f",
        "danger-paper": "#fdeceb",
        "tone-1": "#0a57c7",
        "tone-2": "#be7900",
        "tone-3": "#229f86",
        "tone-4": "#a92772",
        "tone-5": "#2e2e2e",
        "tone-6": "#6b5100",
    }
)
"""Colours by name, on white paper; print has them too."""

DARK: Mapping[str, str] = MappingProxyType(
    {
        "paper": "#16191d",
        "panel": "#20252b",
        "ink": "#eceef0",
        "grey": "#a9afb8",
        "rule": "#3b424b",
        "link": "#8ec2ff",
        "good": "#7fd8a5",
        "good-paper": "#16301f",
        "warning": "#f4c770",
        "warning-paper": "#372a10",
        "danger": "#ff9d94",
        "danger-paper": "#401b18",
        "tone-1": "#5ad2ff",
        "tone-2": "#d2711a",
        "tone-3": "#13a276",
        "tone-4": "#c37fcd",
        "tone-5": "#c5ffde",
        "tone-6": "#ffd43e",
    }
)
"""Colours by the same names, on dark paper."""

TONES = 6
"""Tones of charts; a chart with more series begins again, with other dashes and marks."""


def variables(theme: Mapping[str, str]) -> str:
    """Write a theme as CSS variables, `--NAME: COLOUR;`."""
    return " ".join(f"--{name}: {colour};" for name, colour in theme.items())


def themes() -> str:
    """Write both themes as a style sheet: by what the reader's system prefers; print is light."""
    return (
        f":root {{ color-scheme: light; {variables(LIGHT)} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {variables(DARK)} }} }}\n"
    )


def tone(number: int) -> str:
    """Colour of the series with a number from 0 on, as a value of CSS."""
    return f"var(--tone-{number % TONES + 1})"
