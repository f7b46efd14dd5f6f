import re

from matplotlib.figure import Figure

from simulations.report.plots.style import BLUE, SMALL, WIDTH, Plot, style


def drawn() -> str:
    with style():
        figure = Figure(figsize=(WIDTH, 1), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=BLUE, label="all <arms>")
        axes.legend()
        return str(Plot(figure, "All <arms>", "They rise.").chart.svg)


def test_a_figure_has_its_finding_and_the_colours_of_the_theme() -> None:
    svg = drawn()
    assert 'role="img" aria-label="All &lt;arms&gt;. They rise."' in svg
    assert "var(--tone-1)" in svg
    assert not re.search(r"#[0-9a-f]{6}", svg)
    assert "font-family" not in svg
    assert " id=" not in re.sub(r'(clipPath|<path|<g) id="[^"]*"', "", svg)


def test_texts_are_no_smaller_than_nine_pixels_on_a_phone() -> None:
    svg = drawn()
    width = float(re.findall(r'viewBox="0 0 ([\d.]+) ', svg)[0])
    sizes = [float(size) for size in re.findall(r"font(?:-size)?: (?:\d+ )?([\d.]+)px", svg)]
    assert sizes
    assert min(sizes) >= SMALL
    assert min(sizes) * 358 / width >= 9
