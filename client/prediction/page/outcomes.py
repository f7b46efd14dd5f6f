"""Forecasts of tasks as blocks of a page."""

from dataclasses import dataclass
from typing import Literal

from client.prediction.forecast import Forecast, NumberForecast, OutcomeForecast, SurvivalForecast
from client.prediction.page.curve import CurveDrawing, drawn
from client.prediction.page.dots import Dots, hundred
from client.prediction.page.ranges import (
    between,
    bound_sentence,
    class_sentence,
    label_sentence,
    number_sentence,
)
from client.prediction.page.words import in_a_hundred, minus, spoken
from client.prediction.similar import SimilarPatients
from common.counting import counted

CERTAIN = 1e-6
"""Rounding within which probabilities of classes add up to 1."""


@dataclass(frozen=True)
class ShareRow:
    """Probability of one thing.

    Attributes:
        name: of the horizon, class or label.
        words: the probability.
        share: the probability, for its bar.
        likely: its interval; empty without one.
    """

    name: str
    words: str
    share: float
    likely: str = ""


@dataclass(frozen=True)
class Block:
    """Forecast of a task in words and drawings.

    Attributes:
        kind: of the forecast.
        title: name of the task.
        large: the answer in a few words.
        subject: what the answer is about.
        short: the same in a few words, for a line.
        sentences: further ones.
        likely: interval of the answer; empty without one.
        dots: the answer as 100 dots; None where it is no probability.
        curve: the survival curve; None without one.
        unit: of time.
        rows: probabilities by horizon, class or label.
    """

    kind: Literal["time", "classes", "labels", "number"]
    title: str
    large: str
    subject: str
    short: str
    sentences: tuple[str, ...] = ()
    likely: str = ""
    dots: Dots | None = None
    curve: CurveDrawing | None = None
    unit: str = ""
    rows: tuple[ShareRow, ...] = ()


def block_of(task: str, forecast: Forecast, horizon: str | None) -> Block:
    """Write a forecast as a block.

    Args:
        task: its name.
        forecast: of the patient.
        horizon: time whose risk is drawn; without it, the last one.
    """
    if isinstance(forecast, SurvivalForecast):
        return _of_time(task, forecast, horizon)
    if isinstance(forecast, OutcomeForecast):
        return _of_outcomes(task, forecast)
    return _of_number(task, forecast)


def _of_time(task: str, forecast: SurvivalForecast, horizon: str | None) -> Block:
    chosen = horizon if horizon in forecast.risk else list(forecast.risk)[-1]
    risk, unit = forecast.risk[chosen], spoken(forecast.unit)
    interval, similar = forecast.risk_interval.get(chosen), forecast.similar
    end = f"{forecast.times[-1]:.3g} {unit}"
    median = (
        f"More than half of such patients are expected to stay free of the event beyond {end}."
        if forecast.median is None
        else f"Half of such patients are expected to have the event by {forecast.median:.3g} {unit}."
    )
    return Block(
        kind="time",
        title=spoken(task),
        large=in_a_hundred(risk),
        subject=f"patients like this one have the event by {chosen} {unit}, says the model",
        short=f"by {chosen} {unit}",
        sentences=_said(median, bound_sentence(forecast.bound, unit), _observed(similar, chosen, unit)),
        likely="" if interval is None else between(interval),
        dots=hundred(risk, interval),
        curve=drawn(
            forecast.unit,
            forecast.times,
            forecast.survival,
            similar=None if similar is None else (similar.times, similar.survival),
            bounds=[(time, share) for share, time in forecast.bound.items()],
        ),
        unit=unit,
        rows=tuple(
            ShareRow(f"by {time} {unit}", in_a_hundred(share), share, _ends(forecast.risk_interval.get(time)))
            for time, share in forecast.risk.items()
        ),
    )


def _of_outcomes(task: str, forecast: OutcomeForecast) -> Block:
    shares = sorted(forecast.probability.items(), key=lambda item: -item[1])
    likeliest, share = shares[0]
    is_divided = len(shares) > 1 and abs(sum(forecast.probability.values()) - 1) < CERTAIN
    rows = tuple(ShareRow(spoken(name), in_a_hundred(part), part) for name, part in shares)
    decided = (
        class_sentence(forecast.possible, list(forecast.probability))
        if is_divided
        else label_sentence(forecast.possible, list(forecast.probability))
    )
    return Block(
        kind="classes" if is_divided else "labels",
        title=spoken(task),
        large=in_a_hundred(share),
        subject=f"for \u201c{spoken(likeliest)}\u201d, the likeliest",
        short=f"for \u201c{spoken(likeliest)}\u201d",
        sentences=_said(decided),
        dots=hundred(share) if is_divided else None,
        rows=rows,
    )


def _of_number(task: str, forecast: NumberForecast) -> Block:
    value = minus(f"{forecast.value:.4g}")
    return Block(
        kind="number",
        title=spoken(task),
        large=f"{value} {spoken(forecast.unit)}".rstrip(),
        subject="expected by the model",
        short="expected",
        sentences=_said(number_sentence(forecast.interval, spoken(forecast.unit))),
    )


def _said(*sentences: str) -> tuple[str, ...]:
    return tuple(sentence for sentence in sentences if sentence)


def _observed(similar: SimilarPatients | None, horizon: str, unit: str) -> str:
    """Say what happened to similar patients by a horizon."""
    risk = None if similar is None else similar.risk(float(horizon))
    if similar is None or risk is None:
        return ""
    return (
        f"Observed in {counted(similar.patients, 'other patient')} of the {similar.third} third of risk:"
        f" {in_a_hundred(risk)} had the event by {horizon} {unit}."
    )


def _ends(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else between(interval).removesuffix(" in 100")
