"""One self-contained HTML page for each patient, for a screen, a phone and paper.

A page runs no script and loads nothing: its policy allows the one style sheet that is in it, by its hash. Every text
from a table or a federation file is escaped. The title of the file names no patient, as browsers keep titles.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from client.prediction.change import NO_EFFECT
from client.prediction.forecast import OutcomeForecast, PatientForecast, SurvivalForecast
from client.prediction.page.alternatives import Alternatives, alternatives_of
from client.prediction.page.outcomes import Block, block_of
from client.prediction.page.reasons import Reasons, reasons_of
from client.prediction.page.words import part_measured, spoken
from client.prediction.provenance import UNCHECKED, Provenance, TaskCalibrated
from common.counting import written
from common.errors import escaped
from common.explanation.explanation import Explanation
from common.pages.colours import themes
from common.structure.answer import Answer

NOT_CALIBRATED = (
    "The figures{} were not calibrated at this hospital: trust the order of patients more than the numbers."
)
"""Warning on every page of a model that was not calibrated, with the tasks where only some were not."""

WITHHELD = (
    "The tables of this patient are unlike those that the model was trained on. Correct them as said above, and predict"
    " again."
)
"""Sentence in the place of a forecast on the page of a patient who is not predicted."""

_TITLES = {
    Answer.FINE: "Read this first",
    Answer.LOOK: "Look at this first",
    Answer.NONE: "Why there is no prediction",
}
"""Titles of the warnings by the answer to whether the patient can be predicted."""

DIGEST_SHOWN = 12
"""Characters of the federation file's digest on the page; JSON has all."""


@dataclass(frozen=True)
class Measured:
    """Words on how much of a modality was measured.

    Attributes:
        name: of the modality.
        words: how much.
        share: of its columns.
    """

    name: str
    words: str
    share: float


@dataclass(frozen=True)
class Sheet:
    """Content of a patient's page.

    Attributes:
        patient: identifier.
        answer: whether the patient can be predicted.
        title: of the warnings.
        warnings: sentences to read first.
        blocks: forecasts.
        measured: modalities, as much measured first.
        reasons: of the forecasts.
        alternatives: answers with one actionable value replaced.
    """

    patient: str
    answer: Answer
    title: str
    warnings: tuple[str, ...]
    blocks: tuple[Block, ...]
    measured: tuple[Measured, ...]
    reasons: tuple[Reasons, ...]
    alternatives: tuple[Alternatives, ...]

    @property
    def in_short(self) -> str:
        """Answers in a line, for the table of contents."""
        if self.answer is Answer.NONE:
            return str(Answer.NONE)
        first = ["look at the warnings"] if self.answer is Answer.LOOK else []
        return "; ".join([*first, *(f"{block.title}: {block.large} {block.short}" for block in self.blocks)])

    @property
    def alone(self) -> bool:
        """Whether one block without a curve has the width of the page for itself."""
        return sum(block.curve is None for block in self.blocks) == 1


def render(provenance: Provenance, patients: Sequence[PatientForecast]) -> str:
    """Write the pages of patients as one HTML text.

    Args:
        provenance: the model and what has to be known first.
        patients: with their forecasts.
    """
    style = _style()
    hashed = b64encode(sha256(style.encode()).digest()).decode()
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            provenance=provenance,
            sheets=[_sheet(provenance, patient) for patient in patients],
            no_effect=NO_EFFECT,
            withheld=WITHHELD,
            calibration=_calibration(provenance),
            digest=provenance.federation[:DIGEST_SHOWN],
            style=style,
            policy=f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'",
        )
    )


def _sheet(provenance: Provenance, patient: PatientForecast) -> Sheet:
    explained = patient.explanations
    horizons = {
        reason.task: written(reason.horizon) for reason in reversed(explained) if reason.horizon is not None
    }
    return Sheet(
        patient=patient.patient,
        answer=patient.answer,
        title=_TITLES[patient.answer],
        warnings=tuple(_warnings(provenance, patient)),
        blocks=tuple(block_of(name, task, horizons.get(name)) for name, task in patient.tasks.items()),
        measured=tuple(
            Measured(spoken(name), part_measured(share), share) for name, share in patient.observed.items()
        ),
        reasons=tuple(
            reasons_of(reason, _answer(patient, reason) if reason.task in provenance.calibration else None)
            for reason in explained
        ),
        alternatives=tuple(map(alternatives_of, patient.changes)),
    )


def _answer(patient: PatientForecast, explanation: Explanation) -> float | None:
    """Return the probability that was forecast, of which an explanation is; None for a number."""
    forecast = patient.tasks.get(explanation.task)
    if isinstance(forecast, SurvivalForecast) and explanation.horizon is not None:
        return forecast.risk.get(written(explanation.horizon))
    return forecast.probability.get(explanation.outcome) if isinstance(forecast, OutcomeForecast) else None


def _warnings(provenance: Provenance, patient: PatientForecast) -> Iterator[str]:
    yield from dict.fromkeys((*provenance.warnings, *patient.warnings))
    if not provenance.checked:
        yield UNCHECKED
    if not provenance.calibrated and patient.tasks:
        without = [spoken(task) for task, made in provenance.calibration.items() if not made.yes]
        some = 0 < len(without) < len(provenance.calibration)
        yield NOT_CALIBRATED.format(f" of {', '.join(without)}" if some else "")


def _calibration(provenance: Provenance) -> str:
    """Say whether figures are calibrated here, task by task."""
    tasks = [f"{spoken(task)} {_yes_or_no(made)}" for task, made in provenance.calibration.items()]
    return "; ".join(tasks) or ("yes" if provenance.calibrated else "no")


def _yes_or_no(made: TaskCalibrated) -> str:
    beginning = "" if made.words.startswith(("yes", "no,")) else "no, "
    return beginning + made.words


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("client.prediction.page"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(content: object) -> object:
    """Escape what is not printable in a text of others; the texts of templates stay as they are."""
    return escaped(content) if isinstance(content, str) and not isinstance(content, Markup) else content


@cache
def _style() -> str:
    layout = files("client.prediction.page").joinpath("templates/page.css").read_text(encoding="utf-8")
    return f"{layout}{themes()}"
