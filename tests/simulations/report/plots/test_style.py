from matplotlib.figure import Figure

from simulations.report.plots.style import HALF, WIDE, Plot


def test_only_a_figure_across_the_page_is_scrolled_on_a_phone() -> None:
    across = Plot(Figure(figsize=(WIDE, 1)), "all <arms>").svg
    assert across.startswith('<svg class="across" role="img" aria-label="all &lt;arms&gt;"')
    assert Plot(Figure(figsize=(HALF, 1)), "half").svg.startswith('<svg role="img" aria-label="half"')
