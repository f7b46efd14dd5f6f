"""Table of a task's validation on held-out patients: calibration, error and net benefit."""

from collections.abc import Iterator

from common.counting import written
from common.validation.figures import FLOOR, HorizonFigures, OutcomeFigures
from common.validation.meta_analysis import Pooled
from simulations.report.plots.style import readable
from simulations.report.words.tables import TextTable
from simulations.results.metrics import metric_name
from simulations.results.schema import MISSING, SimulationResult


def validation_table(result: SimulationResult, task: str) -> TextTable | None:
    """Table of the federated model's figures, an outcome a column; None without any."""
    validation = result.validation.get(task)
    if validation is None:
        return None
    judged = [
        (outcome, outcome.horizons[0])
        for outcome in validation.figures.outcomes
        if outcome.horizons and outcome.horizons[0].events is not None
    ]
    if not judged:
        return None
    unit = validation.figures.unit
    heads = ("Federated model, all folds' held-out patients", *(_head(*pair, unit) for pair in judged))
    columns = [dict(_figures(figures)) for _, figures in judged]
    rows = [(name, *(column.get(name, MISSING) for column in columns)) for name in columns[0]]
    metric = metric_name(result.outcomes[task].metric)
    if len(judged) == 1:
        rows += _over_hospitals(metric, validation.concordance)
        rows += _over_hospitals("Observed / expected", validation.ratio)
    caption = (
        "Calibration of the federated model. Observed over expected: by Kaplan-Meier where there is a time, and by the "
        "events while patients were followed; over 1, the model says too little risk. The null model says of everybody "
        "the risk that was observed among these patients. Intervals are 95%. "
    )
    if validation.concordance is not None or validation.ratio is not None:
        caption += (
            "Hospitals are pooled by random effects; another hospital's figure is expected in the interval. "
        )
    return TextTable(heads, tuple(rows), caption + f"Outcomes with fewer than {FLOOR} events are left out.")


def _head(outcome: OutcomeFigures, figures: HorizonFigures, unit: str) -> str:
    by = "" if figures.horizon is None else f"by {written(round(figures.horizon, 2))} {unit}"
    return " ".join(filter(None, [readable(outcome.name), by])) or "event"


def _figures(figures: HorizonFigures) -> Iterator[tuple[str, str]]:
    yield "Patients with the event", f"{figures.events:,}"
    yield "Predicted risk", MISSING if figures.expected is None else f"{figures.expected:.3f}"
    yield "Observed risk", figures.observed.text(3)
    yield "Observed / expected", figures.ratio.text()
    if figures.followed is not None:
        yield "Observed / expected, while followed", figures.followed.ratio.text()
    yield "Calibration level (best 0)", figures.level.intercept.text()
    yield "Calibration slope (best 1)", figures.level.slope.text()
    yield (
        "Mean distance of the smooth curve",
        MISSING if figures.curve is None else f"{figures.curve.distance:.3f}",
    )
    if figures.brier is not None:
        yield "Brier score", _number(figures.brier.model)
        yield "Brier score of the null model", _number(figures.brier.null)
        yield "Gain over the null model", figures.brier.gain.text(4)
    if figures.auc.value is not None:
        yield "Area under the ROC curve", figures.auc.text()


def _number(figure: float | None) -> str:
    return MISSING if figure is None else f"{figure:.4f}"


def _over_hospitals(name: str, pooled: Pooled | None) -> Iterator[tuple[str, str]]:
    if pooled is not None:
        low, high = pooled.predicted
        yield f"{name}, average of {pooled.hospitals} hospitals", pooled.mean.text()
        yield f"{name}, expected at another hospital", f"{low:.2f} to {high:.2f}"
