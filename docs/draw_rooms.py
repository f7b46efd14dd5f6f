"""Picture and table of the rooms, made from the imports: `python -m docs.draw_rooms` writes both.

The picture is docs/rooms.svg, the table stands in docs/architecture.md. An arrow that follows from others is left
out; between packages one arrow stands for all imports.
"""

from collections.abc import Iterable
from html import escape
from itertools import pairwise

from docs.rooms import ROOT, describe, floors, room_imports

SVG, DOCUMENT = ROOT / "docs" / "rooms.svg", ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- rooms: made by docs/draw_rooms.py -->", "<!-- end of rooms -->"
BOX, HEIGHT, GAP, STEP, LANE = 104, 30, 14, 62, 16
"""Width and height of a box, space between boxes, distance of floors, width of an arrow that passes a floor; pixels."""
PAD, HEAD, MARGIN = 22, 40, 24
COLOURS = {
    "consilium": "#8a6d00",
    "simulations": "#7a4fa3",
    "client": "#0b6e99",
    "server": "#b3541e",
    "common": "#3f7d3f",
}
ORDER = ("consilium", "simulations", "client", "server", "common")


def reduced(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out every arrow that a longer way leads along (Aho, Garey & Ullman 1972)."""
    below: dict[str, set[str]] = {}
    for upper, lower in pairs:
        below.setdefault(upper, set()).add(lower)

    def reach(room: str) -> set[str]:
        return {room}.union(*map(reach, below.get(room, ())))

    return sorted(
        (upper, lower)
        for upper, lowers in below.items()
        for lower in lowers
        if not any(lower in reach(other) for other in lowers - {lower})
    )


class Drawing:
    """Boxes and arrows of one package, with coordinates relative to its frame."""

    def __init__(self, package: str, pairs: Iterable[tuple[str, str]]) -> None:
        self.package, self.floors = package, floors(package)
        self.arrows = reduced(pairs)
        self.floor = {room: number for number, rooms in enumerate(self.floors) for room in rooms}
        self.rows: list[list[str]] = [list(rooms) for rooms in self.floors]
        self.ways = [self._way(upper, lower) for upper, lower in self.arrows]
        self.middle = self._placed()
        edges = [
            (self.middle[item] - self._width(item) / 2, self.middle[item] + self._width(item) / 2)
            for row in self.rows
            for item in row
        ]
        left = min(start for start, _ in edges)
        self.middle = {item: x - left + PAD for item, x in self.middle.items()}
        self.width = round(max(end for _, end in edges) - left + 2 * PAD)
        self.height = HEAD + STEP * (len(self.rows) - 1) + HEIGHT + PAD

    def _way(self, upper: str, lower: str) -> list[str]:
        """Reserve a lane on every floor that an arrow passes."""
        lanes = []
        for number in range(self.floor[upper] + 1, self.floor[lower]):
            lane = f"{upper}>{lower}>{number}"
            self.rows[number].append(lane)
            lanes.append(lane)
        return [upper, *lanes, lower]

    def _width(self, item: str) -> int:
        return LANE if ">" in item else BOX

    def _placed(self) -> dict[str, float]:
        """Give every box and lane a place near the middle of its neighbours (Sugiyama, Tagawa & Toda 1981)."""
        neighbours: dict[str, list[str]] = {item: [] for row in self.rows for item in row}
        for way in self.ways:
            for upper, lower in pairwise(way):
                neighbours[upper].append(lower)
                neighbours[lower].append(upper)
        middle = dict.fromkeys(neighbours, 0.0)
        for row in self.rows:
            self._spread(row, middle)
        for sweep in range(24):
            for row in self.rows if sweep % 2 else self.rows[::-1]:
                wanted = {
                    item: sum(middle[other] for other in neighbours[item]) / len(neighbours[item])
                    if neighbours[item]
                    else middle[item]
                    for item in row
                }
                row.sort(key=lambda item: (wanted[item], item))
                middle.update(wanted)
                self._spread(row, middle)
        return middle

    def _spread(self, row: list[str], middle: dict[str, float]) -> None:
        """Move the boxes of a floor apart until none overlap, and keep their mean where it is."""
        wanted = sum(middle[item] for item in row) / len(row)
        for before, item in pairwise(row):
            least = middle[before] + (self._width(before) + self._width(item)) / 2 + GAP
            middle[item] = max(middle[item], least)
        shift = wanted - sum(middle[item] for item in row) / len(row)
        for item in row:
            middle[item] += shift

    def top(self, item: str) -> int:
        """Upper edge of the floor on which a box or lane lies."""
        number = int(item.rpartition(">")[2]) if ">" in item else self.floor[item]
        return HEAD + STEP * number

    def svg(self, x: int, y: int) -> str:
        """Draw the frame at a point of the picture."""
        colour = COLOURS[self.package]
        lines = [
            f'<g transform="translate({x} {y})" stroke="{colour}" fill="{colour}">',
            f'<rect class="frame" width="{self.width}" height="{self.height}" rx="10"/>',
            f'<text class="package" x="{PAD}" y="26">{self.package}</text>',
            *(self._arrow(way) for way in self.ways),
            *(self._box(room) for rooms in self.floors for room in rooms),
            "</g>",
        ]
        return "\n".join(lines)

    def _arrow(self, way: list[str]) -> str:
        x, y = self.middle[way[0]], self.top(way[0]) + HEIGHT
        path = f"M{x:.0f} {y}"
        for item in way[1:]:
            below, end = self.middle[item], self.top(item) - (0 if ">" in item else 5)
            bend = (end - y) / 2
            path += f" C{x:.0f} {y + bend:.0f} {below:.0f} {end - bend:.0f} {below:.0f} {end}"
            x, y = below, end
            if ">" in item:
                y += HEIGHT
                path += f" V{y}"
        return f'<path class="arrow" d="{path}" marker-end="url(#{self.package})"/>'

    def _box(self, room: str) -> str:
        x, y = round(self.middle[room] - BOX / 2), self.top(room)
        sentence = escape(describe(self.package, room).sentence)
        return (
            f'<g><title>{self.package}/{room}: {sentence}</title><rect class="room" x="{x}" y="{y}" '
            f'width="{BOX}" height="{HEIGHT}" rx="5"/>'
            f'<text class="name" x="{x + BOX // 2}" y="{y + 20}">{room}</text></g>'
        )


STYLE = """
text { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; stroke: none }
.package { font-size: 16px; font-weight: 600 }
.name { font-size: 13px; fill: #1b1b1b; text-anchor: middle }
.note { font-size: 13px; fill: #444 }
.frame { fill-opacity: .05; stroke-width: 1.2 }
.room { fill: #fff; stroke-width: 1.3 }
.arrow { fill: none; stroke-width: 1.3; stroke-opacity: .65 }
.between { fill: none; stroke: #555; stroke-width: 2.4 }
"""


def picture() -> str:
    """Draw all packages: the face, below it simulations, client and server side by side, and common at the bottom."""
    pairs = room_imports()
    inside = {
        package: Drawing(package, [(a[1], b[1]) for a, b in pairs if a[0] == b[0] == package])
        for package in ORDER
    }
    upper = [inside[package] for package in ("client", "simulations", "server")]
    space = 70
    row = max(drawing.height for drawing in upper)
    width = sum(drawing.width for drawing in upper) + 2 * space + 2 * MARGIN
    face, common = inside["consilium"], inside["common"]
    places, x = {"consilium": ((width - face.width) // 2, MARGIN + 30)}, MARGIN
    floor = MARGIN + 30 + face.height + space + row
    for drawing in upper:
        places[drawing.package] = (x, floor - drawing.height)
        x += drawing.width + space
    places["common"] = ((width - common.width) // 2, floor + space)
    height = places["common"][1] + common.height + MARGIN
    between = reduced({(a[0], b[0]) for a, b in pairs if a[0] != b[0]})
    markers = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
        for name, colour in {**COLOURS, "between": "#555"}.items()
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-label="Rooms of the packages and their imports">',
        f"<style>{STYLE}</style><defs>{markers}</defs>",
        f'<rect width="{width}" height="{height}" fill="#fdfdfc"/>',
        f'<text class="note" x="{MARGIN}" y="{MARGIN + 6}">An arrow points to what is imported. Arrows that follow '
        "from others are left out; an arrow between packages stands for all imports.</text>",
        *(inside[package].svg(*places[package]) for package in ORDER),
        *(_between(inside, places, pair) for pair in between),
        "</svg>\n",
    ]
    return "\n".join(lines)


def _between(inside: dict[str, Drawing], places: dict[str, tuple[int, int]], pair: tuple[str, str]) -> str:
    """Draw the arrow between two packages: sideways on a row, else down."""
    (x, y), (to_x, to_y) = places[pair[0]], places[pair[1]]
    start, end = inside[pair[0]], inside[pair[1]]
    if to_y > y + start.height:
        middle = x + start.width // 2
        landing = min(max(middle, to_x + 40), to_x + end.width - 40)
        bottom = y + start.height
        path = f"M{middle} {bottom} C{middle} {to_y - 20} {landing} {bottom + 20} {landing} {to_y - 9}"
    else:
        level = y + start.height // 2
        path = (
            f"M{x} {level} H{to_x + end.width + 9}" if to_x < x else f"M{x + start.width} {level} H{to_x - 9}"
        )
    return f'<path class="between" d="{path}" marker-end="url(#between)"/>'


def table() -> str:
    """Write the table of rooms in Markdown, package by package and from the top floor down."""
    lines = ["| room | what it is for | read first |", "|---|---|---|"]
    for package in ORDER:
        for name in (room for rooms in floors(package) for room in rooms):
            room = describe(package, name)
            lines.append(f"| `{package}/{name}` | {room.sentence} | [`{room.first}`](../{room.first}) |")
    return "\n".join(lines)


def document(text: str) -> str:
    """Put the table between its marks in the text of a document."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> None:
    """Write the picture and the table."""
    SVG.write_text(picture(), encoding="utf-8")
    DOCUMENT.write_text(document(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
