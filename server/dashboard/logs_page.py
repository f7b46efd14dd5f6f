"""Page of the last lines of the services' logs."""

from markupsafe import Markup

from common.errors import escaped
from common.pages.document import PageSection
from common.pages.parts import paragraph
from server.dashboard.frame import framed
from server.home.places import CoordinatorHome
from server.services.logs import last_lines, services_of

LINES = 200
"""Last lines of each log."""


def logs_page(home: CoordinatorHome, mark: str) -> str:
    """Write the page of the logs."""
    sections = []
    for name in services_of(home):
        lines = [escaped(line) for line in last_lines(home, name, LINES)]
        content = (
            Markup(
                '<div class="scroll" tabindex="0" role="region" aria-label="Log of {}"><pre>{}</pre></div>'
            ).format(name, "\n".join(lines))
            if lines
            else paragraph("It has written nothing yet.")
        )
        sections.append(PageSection(name, [content], f"log-{name}"))
    return framed("Logs of the services", sections, kind=f"The last {LINES} lines of each", mark=mark)
