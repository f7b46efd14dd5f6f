"""Lies of one hospital of 21, which otherwise answers as the product does, to the product's coordinator.

20 honest hospitals of 24 made-up patients, survival, 8 rounds; the C-index is that of the held-out patients of all.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import Message, RecordDict

from client.rounds.assembly import close_sites
from client.training.evaluation import logits
from common.agreement.federation import FILE_NAME, Federation, load, save
from common.agreement.privacy_settings import Privacy
from common.agreement.reach import local_reach
from common.evaluation.pairs import concordance_pairs
from common.families.registry import family_of
from common.messages.exchange import ModelRequest, StatisticsReply, TrainReply, is_refusal
from common.privacy.planning import with_privacy
from common.tasks.hazard import survival_curve
from server.records.journal import RoundRecord, RunRecord
from server.records.result import load_result
from server.runs.coordination import coordinate
from simulations.cohorts.folders import find_sites
from simulations.cohorts.synthetic import write_synthetic
from simulations.engines.environment import environment_set
from simulations.engines.flower_internals import (
    acting_as,
    acting_as_coordinator,
    detached,
    load_client_app,
    new_run,
    silence,
)
from simulations.engines.in_process import InProcessGrid
from simulations.engines.node import answer, contexts
from tests.attacks.attack_table import AttackRow

pytestmark = [pytest.mark.attack, pytest.mark.slow]

PROMISED = 0.02
"""C-index that a lie may cost."""

LIAR = "hospital 01"
MODEL = {"model.node_width": "4", "model.pathway_width": "4", "model.width": "8", "model.heads": "2"}
TRAINING = {"training.rounds": "8", "training.linear_rounds": "0", "training.learning_rate": "0.01"}
PRIVACY = Privacy(noise_multiplier=2.63, sampling_rate=1.0, expected_batch_size=30)

Weights = Mapping[str, Any]
Lie = Callable[[RecordDict, RecordDict, Federation], RecordDict]
"""Makes the liar's reply of the request and the honest reply."""


@dataclass(frozen=True)
class Outcome:
    """End of a run.

    Attributes:
        dropped: reasons for which the liar had no part, somewhere in the run.
        honest_dropped: hospitals that told the truth and were dropped.
    """

    run: RunRecord
    c_index: float
    dropped: frozenset[str]
    honest_dropped: frozenset[str]


class Cohort:
    """Hospitals on disk, for runs that each get a copy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        write_synthetic(
            folder / "cohort",
            sites=21,
            patients=24,
            genes=8,
            proteins=2,
            clinical=6,
            imaging=2,
            lacking=0,
            seed=1,
        )
        federation = load(folder / "cohort" / FILE_NAME).changed(MODEL | TRAINING)
        survival = tuple(task for task in federation.tasks if task.name == "survival")
        self.federation = federation.model_copy(update={"tasks": survival})
        for site in find_sites(folder / "cohort"):  # the lies are the subject, not what a file may ask for
            with (site / "site.toml").open("a") as file:
                file.write("\n[policy]\nmaximum_reach = 1000.0\n")

    def run(self, name: str, federation: Federation, lie: Lie | None) -> Outcome:
        """Run a federation in which one hospital lies."""
        copy = self._folder / name
        shutil.copytree(self._folder / "cohort", copy)
        save(federation, copy / FILE_NAME)
        records: list[RoundRecord] = []
        try:
            with self._state(copy):
                run = self._coordinated(copy, federation, lie, records)
                score = c_index(copy, federation, copy / "out")
        finally:
            close_sites()
            shutil.rmtree(copy)
        gone = [one for record in records for one in record.dropped] + list(run.left_out)
        return Outcome(
            run,
            score,
            frozenset(one.reason.value for one in gone if one.site == LIAR),
            frozenset(str(one.site) for one in gone if one.site != LIAR),
        )

    def _state(self, copy: Path) -> AbstractContextManager[None]:
        return environment_set({"CONSILIUM_STATE": str(copy / "state")})

    def _coordinated(
        self, copy: Path, federation: Federation, lie: Lie | None, records: list[RoundRecord]
    ) -> RunRecord:
        silence()
        app, run = load_client_app("client.app:app"), new_run({})
        nodes = [{"site": str(site), "federation": str(copy / FILE_NAME)} for site in find_sites(copy)]
        sites = contexts(nodes, {}, run)
        bad = next(node for node, context in sites.items() if _name(context.node_config["site"]) == LIAR)

        def deliver(messages: Sequence[Message]) -> Iterator[Message]:
            for message in messages:
                node = message.metadata.dst_node_id
                reply = detached(answer(app, detached(message), sites[node]))
                if (
                    node == bad
                    and lie is not None
                    and not reply.has_error()
                    and not is_refusal(reply.content)
                ):
                    with acting_as(run.run_id, node, node):
                        reply = Message(lie(message.content, reply.content, federation), reply_to=message)
                yield reply

        with acting_as_coordinator(run):
            return coordinate(
                InProcessGrid(run, list(sites), deliver),
                federation,
                copy,
                copy / "out",
                fold=0,
                on_round=records.append,
                is_assessed=False,
            )


def _name(site: object) -> str:
    return Path(str(site)).name.replace("-", " ")


def c_index(cohort: Path, federation: Federation, out: Path) -> float:
    """C-index of a run's model on the held-out patients of all hospitals; not-a-number where a risk is none."""
    from client.data.inspection import read_cohort

    result, family = load_result(out), family_of(federation)
    model = family.model(federation, family.public(federation, cohort), 0)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in result.weights.items()})
    prepared = family.unpacked(result.preprocessing)
    risks, labels = [], []
    for site in find_sites(cohort):
        hospital = read_cohort(site, federation)
        held = hospital.batch.select(hospital.fold == 0)
        if len(held):
            outputs = logits(model, family.apply(held, prepared))["survival"]
            risks.append(-survival_curve(outputs).sum(1))
            labels.append(held.labels["survival"])
    risk, (time, event) = torch.cat(risks).double().numpy(), torch.cat(labels).double().numpy().T
    pairs = concordance_pairs(time, event > 0, risk)
    return pairs.concordant / pairs.comparable if pairs.comparable else float("nan")


def statistics(change: Callable[[StatisticsReply, Federation], dict[str, Any]]) -> Lie:
    """A lie in the first answer alone."""

    def lie(request: RecordDict, reply: RecordDict, federation: Federation) -> RecordDict:
        header = reply.config_records["header"]
        if header["message"] != "StatisticsReply":
            return reply
        told = StatisticsReply.from_record(reply)
        return told.model_copy(update=change(told, federation)).to_record()

    return lie


def training(change: Callable[[ModelRequest, TrainReply, Federation], dict[str, Any]]) -> Lie:
    """A lie in every answer to a request for training."""

    def lie(request: RecordDict, reply: RecordDict, federation: Federation) -> RecordDict:
        header = reply.config_records["header"]
        if header["message"] != "TrainReply":
            return reply
        asked, told = ModelRequest.from_record(request), TrainReply.from_record(reply)
        return told.model_copy(update=change(asked, told, federation)).to_record()

    return lie


def both(first: Lie, second: Lie) -> Lie:
    """Two lies."""
    return lambda request, reply, federation: second(request, first(request, reply, federation), federation)


def times(factor: float) -> Lie:
    """The change of the weights, many times over."""

    def change(asked: ModelRequest, told: TrainReply, federation: Federation) -> dict[str, Any]:
        moved = {name: told.weights[name].astype(np.float64) - asked.weights[name] for name in told.weights}
        weights = {
            name: (asked.weights[name] + factor * array).astype(np.float32) for name, array in moved.items()
        }
        return {"weights": weights}

    return training(change)


def filled(number: float) -> Lie:
    """The same number in every weight."""
    return training(
        lambda asked, told, federation: {
            "weights": {name: np.full_like(array, number) for name, array in told.weights.items()}
        }
    )


def random_weights(asked: ModelRequest, told: TrainReply, federation: Federation) -> dict[str, Any]:
    """Weights that nobody trained, with a number of patients of the liar's choice."""
    draw = np.random.default_rng(asked.round)
    weights = {name: draw.normal(size=array.shape).astype(np.float32) for name, array in told.weights.items()}
    return {"weights": weights, "patients": {group: 1e12 * (n > 0) for group, n in told.patients.items()}}


def random_within_reach(asked: ModelRequest, told: TrainReply, federation: Federation) -> dict[str, Any]:
    """The most that passes: every weight moved as far as training can, to a side drawn once."""
    draw = np.random.default_rng(0)
    largest = max(float(np.abs(array).max(initial=0.0)) for array in asked.weights.values())
    reach = local_reach(federation, asked.round, 24, largest)
    weights = {
        name: (array + reach * draw.choice([-1.0, 1.0], size=array.shape)).astype(np.float32)
        for name, array in asked.weights.items()
    }
    return {"weights": weights}


def weighing(number: float) -> Lie:
    return training(
        lambda asked, told, federation: {
            "patients": {group: number * (n > 0) for group, n in told.patients.items()}
        }
    )


def huge_then_tiny(asked: ModelRequest, told: TrainReply, federation: Federation) -> dict[str, Any]:
    """A weight that sets the model in one round, and does not hide the others' mean in the next."""
    if asked.round % 2:
        return {}
    return {"patients": {group: float(n > 0) for group, n in told.patients.items()}}


def losses(value: Callable[[int], float], patients: float | None = None) -> Lie:
    """A validation loss of the liar's choice, by round."""

    def change(asked: ModelRequest, told: TrainReply, federation: Federation) -> dict[str, Any]:
        count = told.metrics.get("validation_patients", 9.0) if patients is None else patients
        loss = value(asked.round) * count
        changes = {"validation_loss": loss, "validation_patients": count}
        return {"metrics": told.metrics | changes}

    return training(change)


def moments(mean: float, deviation: float, count: float | None = None) -> Lie:
    """Means and deviations of all columns, in units of the honest deviation, from the honest mean."""

    def change(told: StatisticsReply, federation: Federation) -> dict[str, Any]:
        changed = {}
        for name, (honest, total, squares) in told.moments.items():
            here = np.maximum(honest, 1.0)
            middle, spread = total / here, np.sqrt(np.maximum(squares / here - (total / here) ** 2, 0))
            number = honest if count is None else np.where(honest > 0, count, 0.0)
            at, wide = middle + mean * spread, deviation * spread
            changed[name] = np.stack([number, number * at, number * (wide**2 + at**2)])
        return {"moments": changed} | ({} if count is None else {"patients": int(count)})

    return statistics(change)


CLAIM = statistics(lambda told, federation: {"patients": 10**12})

LIES: dict[str, Lie] = {
    "patients = 1e12, in statistics and weights": both(CLAIM, training(random_weights)),
    "patients = 1e12 with random weights": training(random_weights),
    "a weight of 1e-308": weighing(1e-308),
    "a weight of half a patient": weighing(0.5),
    "weights by turns huge and tiny": training(huge_then_tiny),
    "moments of 1e20": moments(1e20, 1e20, 1e14),
    "means 1e3 deviations off": moments(1e3, 1.0),
    "means 9 deviations off, spread 19 times": moments(9.0, 19.0),
    "no spread": moments(0.0, 0.0),
    "validation of 1e15 patients, -1 once, then 1": losses(lambda number: -1.0 if number == 1 else 1.0, 1e15),
    "validation loss 0 once, then 1e5": losses(lambda number: 0.0 if number == 1 else 1e5),
    "validation loss 0 once, then 4": losses(lambda number: 0.0 if number == 1 else 4.0),
    "validation loss 4 but in round 1": losses(lambda number: 4.0 if number > 1 else 0.0),
    "all weights 3e38": filled(3e38),
    "all weights 0": filled(0.0),
    "no numbers": filled(float("nan")),
    "the change times -1": times(-1.0),
    "the change times -10": times(-10.0),
    "the change times -100": times(-100.0),
}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return Cohort(tmp_path_factory.mktemp("poison"))


@pytest.fixture(scope="module")
def honest(cohort: Cohort) -> Outcome:
    outcome = cohort.run("honest", cohort.federation, None)
    assert (outcome.run.status, outcome.honest_dropped, outcome.dropped) == (
        "completed",
        frozenset(),
        frozenset(),
    )
    return outcome


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_dropped_by_name_or_costs_little(
    cohort: Cohort, honest: Outcome, name: str, attack_row: AttackRow
) -> None:
    told = cohort.run("lie", cohort.federation, LIES[name])
    _tell(attack_row, name, told, honest)
    assert told.run.status == "completed"
    assert not told.honest_dropped
    assert told.c_index >= honest.c_index - PROMISED


def _tell(attack_row: AttackRow, name: str, told: Outcome, honest: Outcome) -> None:
    how = ", ".join(sorted(told.dropped)) or "not dropped"
    attack_row(
        f"one of 21 lies: {name}",
        f"dropped by name, or C-index {honest.c_index:.3f} - {PROMISED}",
        f"{told.c_index:.3f}, round {told.run.best_round}, {how}",
    )


def test_the_most_that_passes_costs_little_more(
    cohort: Cohort, honest: Outcome, attack_row: AttackRow
) -> None:
    """Weights within the reach of training, which nothing tells from honest ones and nothing robust averages."""
    told = cohort.run("lie", cohort.federation, training(random_within_reach))
    most = 0.05
    attack_row(
        "one of 21 lies: every weight as far as training can",
        f"not dropped, at most {most} of C-index {honest.c_index:.3f}",
        f"{told.c_index:.3f}, {', '.join(sorted(told.dropped)) or 'not dropped'}",
    )
    assert told.run.status == "completed"
    assert told.c_index >= honest.c_index - most


@pytest.fixture(scope="module")
def told_honestly(cohort: Cohort) -> Outcome:
    """The end of a run in which every hospital has enough validation patients to tell their loss."""
    outcome = cohort.run("told", cohort.federation.changed(TELLING), None)
    assert outcome.run.best_loss is not None
    return outcome


@pytest.mark.parametrize("name", [name for name in LIES if "validation" in name])
def test_a_lie_about_losses_among_hospitals_that_tell_theirs(
    cohort: Cohort, told_honestly: Outcome, name: str, attack_row: AttackRow
) -> None:
    told = cohort.run("lie", cohort.federation.changed(TELLING), LIES[name])
    _tell(attack_row, f"{name}, all tell a loss", told, told_honestly)
    assert told.run.status == "completed"
    assert not told.honest_dropped
    assert told.c_index >= told_honestly.c_index - PROMISED


TELLING = {"training.validation_fraction": "0.3"}
UNSIZED = ("patients = 1e12, in statistics and weights", "moments of 1e20", "all weights 3e38")


@pytest.mark.parametrize("name", ["the truth", *UNSIZED])
def test_a_lie_without_declared_sizes(
    cohort: Cohort, honest: Outcome, name: str, attack_row: AttackRow
) -> None:
    parts = tuple(one.model_copy(update={"patients": None}) for one in cohort.federation.participants)
    federation = cohort.federation.model_copy(update={"participants": parts})
    told = cohort.run("lie", federation, LIES.get(name))
    _tell(attack_row, f"{name}, no sizes declared", told, honest)
    assert told.run.status == "completed"
    assert not told.honest_dropped
    assert told.c_index >= honest.c_index - PROMISED


@pytest.mark.parametrize("name", ["the truth", "patients = 1e12 with random weights", "all weights 3e38"])
def test_a_lie_under_privacy(cohort: Cohort, name: str, attack_row: AttackRow) -> None:
    """Noise differs from run to run: the measure is that the liar has no part, and every prediction is a number."""
    federation = with_privacy(cohort.federation, PRIVACY).changed({"training.rounds": "3"})
    told = cohort.run("lie", federation, LIES.get(name))
    how = ", ".join(sorted(told.dropped)) or "not dropped"
    attack_row(f"one of 21 lies under privacy: {name}", "dropped by name", f"{told.c_index:.3f}, {how}")
    assert told.run.status == "completed"
    assert not told.honest_dropped
    assert bool(told.dropped) is (name != "the truth")
    assert np.isfinite(told.c_index)
    assert told.c_index > 0.65
