"""Forecasts and explanations as a model could give them."""

from typing import Any

from client.prediction.change import ChangedColumn, ChangedValue, Changes
from client.prediction.forecast import (
    Forecast,
    NumberForecast,
    OutcomeForecast,
    PatientForecast,
    SurvivalForecast,
)
from client.prediction.forecasts import Forecasts
from common.explanation.explanation import ColumnContribution, Explanation, PathwayContribution

CURVE = SurvivalForecast(
    unit="months",
    times=(12.0, 36.0, 60.0),
    survival=(0.9, 0.8, 0.7),
    risk={"12": 0.1, "60": 0.3},
    median=None,
)
SURE_CURVE = CURVE.model_copy(
    update={
        "risk_interval": {"12": (0.06, 0.15), "60": (0.22, 0.39)},
        "bound": {"80%": 38.2, "90%": 14.6},
    }
)
CLASSES = OutcomeForecast(probability={"yes": 0.62, "no": 0.38})
LABELS = OutcomeForecast(probability={"skin": 0.6, "gut": 0.3, "blood": 0.2})
NUMBER = NumberForecast(unit="mmHg", value=-3.25)
TASKS: dict[str, Forecast] = {"survival": CURVE, "response": CLASSES, "toxicity": LABELS, "change": NUMBER}


def column(contribution: float, **changes: Any) -> ColumnContribution:
    values: dict[str, Any] = {
        "modality": "clinical",
        "column": "age",
        "contribution": contribution,
        "linear": 0.0,
        "value": "61 years",
        "deviations": 1.4,
        "clamped": False,
    }
    return ColumnContribution(**values | changes)


def explanation(**changes: Any) -> Explanation:
    pathway = PathwayContribution(
        modality="rna", pathway="HALLMARK_P53_PATHWAY", measured=7, contribution=0.2, occluded=0.2
    )
    values: dict[str, Any] = {
        "task": "survival",
        "outcome": "",
        "horizon": 60.0,
        "unit": "months",
        "scale": "log cumulative hazard",
        "patient": -1.03,
        "mean": -1.5,
        "steps": 32,
        "gap": 0.0,
        "converged": True,
        "linear": None,
        "modalities": {"clinical": 0.3, "rna": 0.17},
        "absent": {"clinical": -0.4, "rna": 0.1},
        "edges": None,
        "higher": (column(0.4), column(0.2, column="stage", value="III", deviations=None)),
        "lower": (column(-0.3, column="albumin", value="-38 g/l", deviations=-2.2),),
        "rest": 0.1,
        "pathways_higher": (pathway,),
        "pathways_lower": (),
    }
    return Explanation(**values | changes)


def changed_column() -> ChangedColumn:
    return ChangedColumn(
        modality="clinical",
        column="pressure",
        unit="mmHg",
        value="150",
        levels=False,
        values=(
            ChangedValue(value="60", number=0.2),
            ChangedValue(value="120", number=0.26),
            ChangedValue(value="260", number=0.5),
        ),
        nearest=ChangedValue(value="120", number=0.26),
    )


def changed() -> Changes:
    smoking = ChangedColumn(
        modality="clinical",
        column="smoking",
        unit="",
        value="current",
        levels=True,
        values=(ChangedValue(value="never", number=0.28), ChangedValue(value="current", number=0.33)),
        nearest=None,
    )
    columns = (changed_column(), smoking)
    return Changes(task="survival", outcome="", horizon=60.0, unit="months", number=0.3, columns=columns)


def patient(**changes: Any) -> PatientForecast:
    values: dict[str, Any] = {
        "patient": "p-1",
        "observed": {"clinical": 1.0, "rna": 0.5, "imaging": 0.0},
        "tasks": TASKS,
        "explanations": (explanation(),),
        "changes": (changed(),),
    }
    return PatientForecast(**values | changes)


def forecasts(*patients: PatientForecast, **changes: Any) -> Forecasts:
    values: dict[str, Any] = {"version": "lung-1", "federation": "ab" * 32}
    return Forecasts(**values | changes, patients=patients or (patient(),))
