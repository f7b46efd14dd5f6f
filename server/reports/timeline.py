"""Chart of the hospitals with a part in every round."""

from collections.abc import Sequence

from common.pages.charts.axes import heading, round_values
from common.pages.charts.shapes import GREY, RULE, WIDTH, box, chart, fitted, line, text
from common.pages.colours import tone
from common.pages.figure import Chart
from server.reports.report import ReportedHospital, ReportedRound

_ROW, _BAR = 31.0, 9.0


def timeline(hospitals: Sequence[ReportedHospital], rounds: Sequence[ReportedRound]) -> Chart | None:
    """Draw a row per hospital with a box for every round that it had a part in; None without.

    A round that lacked its quorum has paler boxes: it does not count.
    """
    training = [record for record in rounds if record.kind == "train"]
    if not training or not hospitals:
        return None
    title = "Hospitals by round"
    parts, top = heading(title)
    width = WIDTH / len(training)
    gap = min(1.0, width / 5)
    for row, hospital in enumerate(hospitals):
        y = top + _ROW * row
        words = f"{len(hospital.rounds)} of {len(training)}"
        parts += [
            text(0, y + 12, fitted(hospital.name, WIDTH - 70)),
            text(WIDTH, y + 12, words, "end", colour=GREY),
        ]
        parts.append(line(0, y + 18 + _BAR / 2, WIDTH, y + 18 + _BAR / 2, colour=RULE))
        present = set(hospital.rounds)
        for column, record in enumerate(training):
            if record.number in present:
                strength = 1.0 if record.applied else 0.4
                parts.append(box(width * column, y + 18, width - gap, _BAR, tone(0), strength))
    foot = top + _ROW * len(hospitals) + 4
    last = training[-1].number
    for value in round_values(0, max(last, 2)):
        if 1 <= value <= last and value == int(value):
            parts.append(text(width * (value - 0.5), foot + 11, f"{value:.0f}", "middle"))
    parts.append(text(WIDTH / 2, foot + 26, "Round", "middle"))
    whole = sum(len(hospital.rounds) == len(training) for hospital in hospitals)
    finding = f"{whole} of {len(hospitals)} hospitals had a part in all {len(training)} rounds of training."
    return chart(parts, foot + 32, title, finding)
