"""Predictions for patients: survival, response and toxicity.

A patient needs `LEAST_OBSERVED` of the columns of one modality at least; of others the model would say little more than
that they are patients, and say it with the same confidence.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from client.data.dates import is_since
from client.data.unlabelled import UnlabelledPatients, read_files, take_frames
from client.prediction.beside import ModelsBeside
from client.prediction.forecast import (
    Forecast,
    NumberForecast,
    OutcomeForecast,
    PatientForecast,
    SurvivalForecast,
)
from client.prediction.forecasts import Forecasts
from client.prediction.judging import RecordsJudgement, judge, observed_shares
from client.prediction.patients.beside import beside
from client.prediction.patients.certainty import Certainty
from client.prediction.patients.checks import checked
from client.prediction.patients.cohort_reasons import no_reasons, reasons
from client.prediction.patients.horizons import horizons_of, require_times
from client.prediction.patients.member_checks import require_members
from client.prediction.predictor import Performance, Predictor
from client.prediction.similar import similar_figures
from client.prediction.table_files import file_names, tables_in
from client.site_folder.site_file import SiteFile
from client.training.evaluation import logits
from common.agreement.federation import Federation
from common.counting import counted, written
from common.errors import InvalidContentError, MissingFileError, OptionError
from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    NumberPrediction,
    Prediction,
    SurvivalPrediction,
)
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.ensemble import mean_prediction
from common.structure.answer import Answer
from common.tasks.task import OutcomeForm, Task

if TYPE_CHECKING:
    from common.prediction.network import Network

LEAST_OBSERVED = 0.5
"""Share of the columns of one modality at least of which a patient has a value."""


SHOWN = 5
"""Patients without enough values that are named by their number."""


class PatientPredictor:
    """Predictions for patients; see `client.prediction.predictor.Predictor`."""

    def files(self, given: Sequence[Path], site: SiteFile, agreement: Federation) -> dict[str, Path]:
        """Find modalities' tables: under the name that the site file has for them, or their own.

        The file of a model with one modality may have any name.
        """
        names = {modality.name: file_names(site, modality.name) for modality in agreement.modalities}
        tables: dict[str, Path] = {}
        for path in given:
            if not path.exists() and not path.is_symlink():
                raise MissingFileError(str(path), "there is no such file or folder", "correct its name")
            matches = tables_in(path, names) if path.is_dir() else _tables_named(path, names)
            if not matches:
                some = ", ".join(candidates[0] for candidates in names.values())
                what = (
                    "has no table of a modality" if path.is_dir() else "is not named like a modality's table"
                )
                raise MissingFileError(str(path), what, f"name the tables {some}, or give their folder")
            if len(matches) > 1 and not path.is_dir():
                what = f"is named like the tables of {' and '.join(matches)}"
                raise OptionError(str(path), what, "give the folder that holds them")
            if twice := sorted(set(matches) & set(tables)):
                raise OptionError(
                    str(path), f"is a second table of {twice[0]}", "give one table of each modality"
                )
            tables |= matches
        return tables

    def predict_files(
        self,
        network: "Network",
        files: Mapping[str, Path],
        site: SiteFile,
        horizons: Sequence[float],
        explain: bool = False,
        enrichment: bool = False,
    ) -> Forecasts:
        """Predict for patients in files."""
        patients = read_files(files, site, _federation(network))
        where = ", ".join(map(str, files.values()))
        return forecasts(network, patients, horizons, where, explain, enrichment, site.name)

    def predict_frames(
        self,
        network: "Network",
        frames: Mapping[str, Any] | Any,
        site: SiteFile,
        horizons: Sequence[float],
        explain: bool = False,
        enrichment: bool = False,
    ) -> Forecasts:
        """Predict for patients in pandas tables: one by modality, or the one table that suffices."""
        federation = _federation(network)
        tables = frames if isinstance(frames, Mapping) else {_only_modality(federation): frames}
        if stray := set(tables) - {modality.name for modality in federation.modalities}:
            names = ", ".join(modality.name for modality in federation.modalities)
            raise OptionError(str(min(stray)), "is no modality of the federation file", f"use {names}")
        patients = take_frames(tables, site, federation)
        return forecasts(network, patients, horizons, "the table", explain, enrichment, site.name)

    def require_members(self, network: "Network", where: str) -> None:
        """Require that forecasts can use all members of a release."""
        require_members(network, where)

    def performance(self, network: "Network", records: PatientBatch) -> list[Performance]:
        """Judge every task by its headline metric over the labelled patients."""
        performances = []
        predictions = predict(network, records)
        for task in _federation(network).tasks:
            labels, labelled = records.labels[task.name], records.labelled[task.name]
            value = float(
                task.headline(predictions[task.name], labels.double().numpy(), labelled.numpy())
                if bool(labelled.any())
                else np.nan
            )
            counts = {"labelled": int(labelled.all(1).sum())} | task.counts(labels, labelled)
            metric = task.metrics[task.headline_metric].title
            figure = value if np.isfinite(value) else None
            performances.append(Performance(task=task.name, counts=counts, metric=metric, value=figure))
        return performances

    def validated(
        self,
        network: "Network",
        records: PatientBatch,
        horizons: Sequence[float],
        thresholds: Sequence[float],
        hospital: str,
    ) -> RecordsJudgement:
        """Judge every task's calibrated risks, and count what was measured."""
        require_times(_federation(network).tasks, horizons)
        ends = {task.name: _end(network, task) for task in _federation(network).tasks}
        chosen = {
            task.name: horizons_of(task, ends[task.name], horizons) for task in _federation(network).tasks
        }
        shares = observed_shares(records, _preprocessing(network), _federation(network))
        certainty, raw = Certainty(network, hospital), predict(network, records)
        predictions = {
            task.name: certainty.calibrated(task, raw[task.name]) for task in _federation(network).tasks
        }
        judgement = judge(_federation(network), predictions, records, chosen, thresholds, shares)
        return judgement.model_copy(update={"calibration": certainty.said()})

    def beside(self, alone: "Network", together: "Network", records: PatientBatch) -> list[ModelsBeside]:
        """Judge both on the labelled patients, the same of whom are drawn for both."""
        predictions = predict(alone, records), predict(together, records)
        return list(beside(_federation(together), *predictions, records))

    def since(self, folder: Path, site: SiteFile, day: date) -> "np.typing.NDArray[np.bool_]":
        """Read the patients' dates in the table of outcomes."""
        return is_since(folder, site, day)


def _tables_named(file: Path, names: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    if len(names) == 1:
        return dict.fromkeys(names, file)
    return {
        modality: file
        for modality, candidates in names.items()
        if file.name in {Path(name).name for name in candidates}
    }


def predict(network: "Network", patients: PatientBatch) -> dict[str, Prediction]:
    """Predict raw patients by task, as in a run; of an ensemble the mean over its members."""
    members = [_predictions(member, patients) for member in network.members]
    return {task: mean_prediction([member[task] for member in members]) for task in members[0]}


def _predictions(network: "Network", patients: PatientBatch) -> dict[str, Prediction]:
    prepared = _preprocessing(network)
    outputs = logits(network.model, prepared.apply(patients))
    return {
        task.name: task.predict(outputs[task.name], prepared.cuts.get(task.name))
        for task in _federation(network).tasks
    }


def forecasts(
    network: "Network",
    patients: UnlabelledPatients,
    horizons: Sequence[float],
    where: str,
    explain: bool = False,
    enrichment: bool = False,
    hospital: str = "",
) -> Forecasts:
    """Predict for patients with enough values.

    Args:
        network: the model.
        patients: with raw values.
        horizons: in the unit of every survival task; without any, years up to the end of the follow-up.
        where: the tables, for errors.
        explain: whether predictions are explained, the risk by every one of `horizons` or else by the last.
        enrichment: whether enriched pathways are found in the explanations.
        hospital: name of the hospital, by which its calibration is found.

    Raises:
        InputError: if a patient has too few values, a horizon is beyond what the model has seen, or a task that cannot
            be explained should be.
    """
    federation, prepared = _federation(network), _preprocessing(network)
    require_times(federation.tasks, horizons)
    chosen = {task.name: horizons_of(task, _end(network, task), horizons) for task in federation.tasks}
    observed = observed_shares(patients.batch, prepared, federation)
    _require_enough(observed, where)
    certainty = Certainty(network, hospital)
    judgement = checked(network, patients.batch)
    answers = [judgement.answer(row) for row in range(len(patients.batch))]
    rows = [
        {} if answer is Answer.NONE else made
        for answer, made in zip(answers, _tasks(network, certainty, patients.batch, chosen), strict=True)
    ]
    explained = {name: times if horizons else times[-1:] for name, times in chosen.items()}
    predicted = [row for row, answer in enumerate(answers) if answer is not Answer.NONE]
    why = (
        reasons(
            network,
            patients.batch.select(torch.tensor(predicted)),
            explained,
            partial(_tasks, network, certainty, horizons=chosen),
            enrichment,
        )
        if explain and predicted
        else no_reasons(len(predicted), enrichment and not explain)
    )
    number = {row: index for index, row in enumerate(predicted)}
    return Forecasts(
        version=network.version,
        federation=federation.digest,
        models=len(network.members),
        calibrated=certainty.everywhere,
        calibration=certainty.said(),
        checked=network.structure is not None,
        warnings=(*patients.warnings, *(finding.sentence for finding in judgement.table)),
        patients=tuple(
            PatientForecast(
                patient=identifier,
                observed={name: float(shares[row]) for name, shares in observed.items()},
                answer=answers[row],
                warnings=tuple(finding.sentence for finding in judgement.patients[row]),
                tasks=rows[row],
                explanations=why.explanations[number[row]] if row in number else (),
                changes=why.changes[number[row]] if row in number else (),
            )
            for row, identifier in enumerate(patients.identifiers)
        ),
        enrichment=why.enrichment,
        display_names=federation.display_names,
    )


def _tasks(
    network: "Network", certainty: Certainty, patients: PatientBatch, horizons: Mapping[str, Sequence[float]]
) -> list[dict[str, Forecast]]:
    """Forecast every task of every patient."""
    tasks, raw = _federation(network).tasks, predict(network, patients)
    predictions = {task.name: certainty.calibrated(task, raw[task.name]) for task in tasks}
    return [
        {
            task.name: _forecast(task, predictions[task.name], row, horizons[task.name]).model_copy(
                update=certainty.figures(task, raw[task.name], row, horizons[task.name])
                | similar_figures(network, task, raw[task.name], row)
            )
            for task in tasks
        }
        for row in range(len(patients))
    ]


def _forecast(task: Task, prediction: Prediction, row: int, horizons: Sequence[float]) -> Forecast:
    here = prediction.select(np.array([row]))
    if isinstance(here, SurvivalPrediction):
        risk = 1 - here.at(horizons)[0]
        return SurvivalForecast(
            unit=task.outcome_unit,
            times=tuple(here.times.tolist()),
            survival=tuple(here.survival[0].tolist()),
            risk={written(horizon): float(share) for horizon, share in zip(horizons, risk, strict=True)},
            median=_median(here),
        )
    if isinstance(here, ClassPrediction | LabelPrediction):
        shares = here.probability[0].tolist()
        names = task.outcome_names or tuple(map(str, range(len(shares))))
        return OutcomeForecast(probability=dict(zip(names, shares, strict=True)))
    if isinstance(here, NumberPrediction):
        return NumberForecast(unit=task.outcome_unit, value=float(here.value[0]))
    what = "predicts something that is no time, class, label or number"
    raise InvalidContentError(f"task {task.name}", what, "predict with the plug-in that brings this kind")


def _median(curve: SurvivalPrediction) -> float | None:
    """Time at which the interpolated curve falls to a half."""
    times = np.concatenate([[0.0], curve.times])
    survival = np.concatenate([[1.0], curve.survival[0]])
    if survival[-1] > 0.5:
        return None
    after = int(np.argmax(survival <= 0.5))
    share = (survival[after - 1] - 0.5) / (survival[after - 1] - survival[after])
    return float(times[after - 1] + share * (times[after] - times[after - 1]))


def _end(network: "Network", task: Task) -> float | None:
    """Return the end of the follow-up that all members have seen; None without a time."""
    if task.form is not OutcomeForm.TIME_TO_EVENT:
        return None
    return min(float(_preprocessing(member).cuts[task.name][-1]) for member in network.members)


def _require_enough(observed: Mapping[str, "np.typing.NDArray[np.float64]"], where: str) -> None:
    """Refuse patients of whom nothing, or too little, is known."""
    most = np.max(list(observed.values()), axis=0)
    few = np.flatnonzero(most < LEAST_OBSERVED)
    if not len(few):
        return
    nothing = bool((most[few] == 0).all())
    numbers = ", ".join(str(row + 1) for row in few[:SHOWN]) + ("" if len(few) <= SHOWN else " and others")
    patients = f"{len(few):,} of {counted(len(most), 'patient')} (in the order of the tables: {numbers})"
    if nothing:
        what = f"nothing is known of {patients}"
    else:
        what = (
            f"too little is known of {patients}: no modality has {LEAST_OBSERVED:.0%} of its columns filled"
        )
    raise InvalidContentError(where, what, "fill in more of what was measured, or leave these patients out")


def _only_modality(federation: Federation) -> str:
    if len(federation.modalities) > 1:
        names = ", ".join(modality.name for modality in federation.modalities)
        what = f"is one table, and the model takes {names}"
        raise OptionError("table", what, "give a mapping of modality to table")
    return federation.modalities[0].name


def _federation(network: "Network") -> Federation:
    federation = network.federation
    assert isinstance(federation, Federation)
    return federation


def _preprocessing(network: "Network") -> Preprocessing:
    prepared = network.preprocessing
    assert isinstance(prepared, Preprocessing)
    return prepared


PREDICTOR: Predictor[Federation, PatientBatch] = PatientPredictor()
