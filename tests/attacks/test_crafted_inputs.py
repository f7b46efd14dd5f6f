"""A coordinator that reads patients out of an approved run by inputs of its own: what it may still ask."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from flwr.app import RecordDict

from client.site_folder.policy import USUAL_REFUSALS
from common.agreement.federation import Federation
from common.agreement.modalities import Modality, Plausible
from common.agreement.model_config import HierarchicalConfig
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Participant, Statistics, Training
from common.errors import Refusal, RefusalCode
from common.messages.exchange import StatisticsReply
from common.messages.packing import Arrays
from common.patients.preprocessing import combine, declared, pack_preprocessing
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from tests.attacks.hospital import AttackedHospital

AttackRow = Callable[[str, str, str], None]

pytestmark = pytest.mark.attack

PATIENTS, BINS, ROUNDS = 60, 12, 30
QUESTIONS = 126
"""Messages in which a patient's record was read out of a run without privacy."""


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "outside"))
    return tmp_path


@pytest.fixture
def plain(outside: Path) -> AttackedHospital:
    """An ordinary hospital of a federation without privacy."""
    rng = np.random.default_rng(7)
    names = [f"p{number}" for number in range(PATIENTS)]
    clinical = pd.DataFrame(
        {
            "patient": names,
            "age": rng.normal(62, 11, PATIENTS).round(1),
            "crp": rng.gamma(2, 8, PATIENTS).round(2),
            "sex": rng.choice(["f", "m"], PATIENTS),
        }
    )
    outcomes = pd.DataFrame(
        {
            "patient": names,
            "months": rng.gamma(2, 14, PATIENTS).round(1),
            "died": rng.integers(0, 2, PATIENTS),
            "response": rng.choice(["no", "yes"], PATIENTS),
        }
    )
    ranges = {"age": Plausible(low=0, high=120), "crp": Plausible(low=0, high=1000)}
    federation = Federation(
        name="plain",
        statistics=Statistics(minimum_count=5),
        modalities=(
            Modality(
                name="clinical",
                node="clinical",
                columns=("age", "crp"),
                categories={"sex": ("f", "m")},
                ranges=ranges,
            ),
        ),
        tasks=(
            SurvivalTask(name="survival", time="months", event="died", unit="months", longest=600),
            ResponseTask(name="response", label="response", classes=("no", "yes")),
        ),
        model=HierarchicalConfig(dropout=0, node_dropout=0, modality_dropout=0),
        training=Training(rounds=ROUNDS, batch_size=64, learn_task_weights=False),
        participants=(Participant(name="one", patients=80), Participant(name="two", patients=80)),
    )
    tables = {"clinical": clinical, "outcomes": outcomes}
    return AttackedHospital(outside, federation, tables, {"minimum_count": 5, "minimum_cohort": 20})


def threshold(hospital: AttackedHospital, age: float, spread: float = 1e-30) -> tuple[Arrays, Arrays]:
    """Weights and scaling of which the loss counts the patients above an age, without and with a response."""
    weights = {name: np.zeros_like(array) for name, array in hospital.initial().items()}
    weights["branches.clinical.scores.response.weight"][1, 0] = 3 / 16 * 2
    weights["heads.response.bias"][1] = 1.5
    nodes = hospital.federation.modalities[0].nodes
    center, width = np.zeros(len(nodes), np.float32), np.full(len(nodes), np.inf, np.float32)
    center[0], width[0] = age, spread
    cuts = np.arange(1, BINS + 1, dtype=np.float32) * 1e6
    return weights, {"center:clinical": center, "spread:clinical": width, "cuts:survival": cuts}


def honest_scaling(hospital: AttackedHospital) -> Arrays:
    content = hospital.statistics()
    assert isinstance(content, RecordDict)
    sums = StatisticsReply.from_record(content).statistics
    return pack_preprocessing(combine([sums], hospital.federation))


def answered(replies: list[RecordDict | RefusalCode]) -> int:
    return sum(isinstance(reply, RecordDict) for reply in replies)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["evaluate", "train"])
def test_no_record_is_read_out_by_thresholds(
    plain: AttackedHospital, kind: str, attack_row: AttackRow
) -> None:
    """Every message of the search, in each of the ways a coordinator can ask it."""
    initial, scaling = plain.initial(), honest_scaling(plain)
    replies: list[RecordDict | RefusalCode] = []
    for number in range(QUESTIONS):
        weights, crafted = threshold(plain, 120 * number / QUESTIONS)
        bounded, _ = threshold(plain, 70.0)
        sharp = {**scaling, "spread:clinical": scaling["spread:clinical"] * np.float32(0.01)}
        ways = ((weights, crafted), (initial, crafted), (bounded, scaling), (initial, sharp))
        for model, prepared in ways:
            replies.append(plain.ask(kind, plain.question(model, prepared, 1 + number % ROUNDS)))
            if number % 10:
                break
    assert answered(replies) == 0
    counted = USUAL_REFUSALS
    assert replies[:counted] == [RefusalCode.INPUT_UNAPPROVED] * counted
    assert set(replies[counted:]) == {RefusalCode.DECLINED_REFUSALS}
    attack_row(
        f"values searched by thresholds in {kind} requests",
        f"no crafted scaling or weights answered, and {counted} refusals with a reason",
        f"0 of {len(replies)} answered, {counted} with a reason",
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["evaluate", "train"])
def test_a_question_is_not_asked_again_in_any_way(
    plain: AttackedHospital, kind: str, attack_row: AttackRow
) -> None:
    initial, scaling = plain.initial(), honest_scaling(plain)
    honest = plain.question(initial, scaling)
    replies = [plain.ask(kind, honest) for _ in range(5)]
    assert answered(replies) == 5
    assert len({reply.object_id for reply in replies if isinstance(reply, RecordDict)}) == 1
    for _ in range(5):
        plain.begin_run()
        replies += [plain.ask(kind, honest), plain.statistics()]
    assert answered(replies) == 5
    assert set(replies[5:]) == {RefusalCode.DECLINED_RUNS}
    plain.approve(plain.federation)
    assert isinstance(plain.ask(kind, honest), RecordDict)
    attack_row(
        f"the same question by {kind}",
        "one answer per approval, with the same bytes however often it is sent",
        f"{answered(replies)} of {len(replies)} answered, by one answer",
    )


def test_a_step_that_training_can_take_is_answered_and_a_jump_is_not(
    plain: AttackedHospital, attack_row: AttackRow
) -> None:
    """A threshold needs weights of 0.4; a round of 80 patients moves one by 0.006."""
    initial, scaling = plain.initial(), honest_scaling(plain)

    def pushed(by: float) -> Arrays:
        name = "branches.clinical.scores.response.weight"
        return {**initial, name: initial[name] + np.float32(by)}

    def asked(by: float, round_: int) -> RecordDict | RefusalCode:
        return plain.ask("train", plain.question(pushed(by), scaling, round_))

    assert asked(0.005, 1) is RefusalCode.INPUT_UNAPPROVED
    assert isinstance(asked(0.0, 1), RecordDict)
    assert asked(0.4, 2) is RefusalCode.INPUT_UNAPPROVED
    assert isinstance(asked(0.005, 2), RecordDict)
    assert asked(-0.005, 3) is RefusalCode.INPUT_UNAPPROVED
    assert isinstance(asked(0.0105, 3), RecordDict)
    attack_row(
        "a coordinator sends a weight that training cannot have reached",
        "refused beyond 0.006 a round, as a round of training moves it",
        "moved by 0.4: refused; set back by 0.010: refused; moved by 0.005: answered",
    )


@pytest.mark.parametrize("kind", ["evaluate", "train"])
def test_refusals_answer_few_questions_over_all_runs_and_kinds_of_fault(
    plain: AttackedHospital, kind: str, attack_row: AttackRow
) -> None:
    """A coordinator makes as many runs as it likes; which check a request fails is a bit, until they run out."""
    initial, scaling = plain.initial(), honest_scaling(plain)
    replies: list[RecordDict | RefusalCode] = []
    for number in range(3 * USUAL_REFUSALS):
        plain.begin_run()
        spread = scaling["spread:clinical"] * np.float32(1 / (2 + number))
        ways = (
            plain.question(initial, {**scaling, "spread:clinical": spread}),
            plain.question({name: array * np.float32(1.1) for name, array in initial.items()}, scaling),
            plain.question(initial, scaling, round_=ROUNDS + 2),
            plain.question({}, scaling),
        )
        replies.append(plain.ask(kind, ways[number % len(ways)]))
    told = [reply for reply in replies if reply is not RefusalCode.DECLINED_REFUSALS]
    assert set(told) == {RefusalCode.INPUT_UNAPPROVED, RefusalCode.REQUEST_INVALID}
    assert len(told) == USUAL_REFUSALS
    assert plain.ask(kind, plain.question(initial, scaling)) is RefusalCode.DECLINED_REFUSALS
    plain.approve(plain.federation)
    assert isinstance(plain.ask(kind, plain.question(initial, scaling)), RecordDict)
    attack_row(f"refusals by {kind}, a run each", f"{USUAL_REFUSALS} per approval", f"{len(told)}")


EXTREME: dict[str, tuple[dict[str, Any], tuple[int | None, int | None]]] = {
    "no sizes": ({"batch_size": 16}, (None, None)),
    "a giant hospital": ({"batch_size": 16}, (80, 1_000_000)),
    "a giant for scaling alone": ({"batch_size": 100_000, "learning_rate": 1e-8}, (80, 10**9)),
    "rate": ({"batch_size": 64, "learning_rate": 1.0}, (80, 80)),
    "epochs": ({"batch_size": 4, "local_epochs": 100}, (80, 80)),
    "one patient a step": ({"batch_size": 1, "local_epochs": 10}, (80, 80)),
    "weight decay": ({"learning_rate": 0.3, "weight_decay": 1.0}, (80, 80)),
    "rate of the coordinator": ({"strategy": "fedyogi", "server_learning_rate": 1.0}, (80, 80)),
}


@pytest.mark.parametrize("case", EXTREME)
def test_a_file_whose_numbers_let_weights_go_anywhere_is_not_approved(
    plain: AttackedHospital, case: str, attack_row: AttackRow
) -> None:
    """Within the ranges of the file format, and beyond those that the hospital's policy allows."""
    training, sizes = EXTREME[case]
    names = zip(("one", "two"), sizes, strict=True)
    asking = plain.federation.model_copy(
        update={
            "training": Training.model_validate({"rounds": ROUNDS, **training}),
            "participants": tuple(Participant(name=name, patients=size) for name, size in names),
        }
    )
    with pytest.raises(Refusal) as raised:
        plain.approve(asking)
    assert raised.value.code is RefusalCode.DECLINED_REACH
    attack_row(f"a file that bounds no weights: {case}", "not approved", raised.value.code.value)


GENES = 200


@pytest.fixture
def private(outside: Path) -> AttackedHospital:
    """A hospital with a policy of epsilon 1 in a federation that trains the linear part."""
    rng = np.random.default_rng(1)
    names = [f"p{number}" for number in range(49)]
    genes = tuple(f"G{number}" for number in range(GENES))
    rna = pd.DataFrame(rng.normal(size=(49, GENES)).round(3), columns=list(genes))
    rna.insert(0, "patient", names)
    outcomes = pd.DataFrame({"patient": names, "response": ["yes"] * 49})
    model = HierarchicalConfig(
        **{"width": 4, "heads": 1, "node_width": 1, "node_heads": 1, "pathway_width": 1, "gcn_layers": 0},
        **{
            "pathway_gat_layers": 0,
            "fusion_layers": 0,
            "dropout": 0,
            "node_dropout": 0,
            "modality_dropout": 0,
        },
    )
    federation = Federation(
        name="private",
        modalities=(Modality(name="rna", node="gene", columns=genes, plausible=Plausible(low=-20, high=20)),),
        tasks=(ResponseTask(name="response", label="response", classes=("no", "yes")),),
        model=model,
        training=Training(rounds=ROUNDS, learn_task_weights=False),
        privacy=Privacy(noise_multiplier=40.0, sampling_rate=1.0, expected_batch_size=49, learn="linear"),
        participants=(Participant(name="one"), Participant(name="two")),
    )
    policy: dict[str, Any] = {
        "require_dp": True,
        "maximum_epsilon": 1.0,
        "minimum_cohort": 20,
        "statistics": ["declared"],
    }
    policy["maximum_refusals"] = 1000  # each refusal is looked at by itself
    return AttackedHospital(outside, federation, {"rna": rna, "outcomes": outcomes}, policy)


def test_what_amplified_a_last_bit_is_refused_by_name(
    private: AttackedHospital, attack_row: AttackRow, caplog: pytest.LogCaptureFixture
) -> None:
    """Inputs made a constant by a spread of 1e30, and LayerNorms and heads of weight 10 behind."""
    initial = private.initial()
    scaling = pack_preprocessing(declared(private.federation))
    constant: Arrays = {
        "center:rna": np.full(GENES, -4e30, np.float32),
        "spread:rna": np.full(GENES, 1e30, np.float32),
    }
    crafted = {name: array.copy() for name, array in initial.items()}
    crafted["branches.rna.norm.weight"][:] = 10
    crafted["cross_norm.weight"][:] = 10
    crafted["heads.response.weight"][0, 0] = 10
    faults: list[str] = []
    ways: list[tuple[Arrays, Arrays]] = [(crafted, constant), (crafted, scaling), (initial, constant)]
    for number, (model, prepared) in enumerate(ways, start=1):
        caplog.clear()
        assert private.ask("train", private.question(model, prepared, number)) is RefusalCode.INPUT_UNAPPROVED
        faults += [
            str(getattr(record, "code", "")) for record in caplog.records if record.name == "consilium.inputs"
        ]
    assert faults == ["input-untrained", "input-untrained", "input-scaling"]
    for name in initial:
        linear = "scores" in name or name == "heads.response.bias"
        moved = {**initial, name: initial[name] + np.float32(1e-3)}
        reply = private.ask("train", private.question(moved, scaling, round_=1))
        assert reply is RefusalCode.INPUT_UNAPPROVED, (name, linear)
    assert isinstance(private.ask("train", private.question(initial, scaling)), RecordDict)
    attack_row(
        "rounding of a last bit amplified to 48 clip norms",
        "crafted weights and scaling refused",
        "refused: 3 of 3, and a change of any parameter",
    )


@pytest.mark.parametrize("statistics", ["noised", "public"])
def test_private_scaling_that_is_not_declared_is_bounded(private: AttackedHospital, statistics: Any) -> None:
    federation = private.federation
    assert federation.privacy is not None
    terms = federation.privacy.model_copy(update={"statistics": statistics})
    file = private.home.folder / "site.toml"
    allowed = file.read_text().replace('"declared"', f'"{statistics}"')
    file.write_text(allowed.replace("epsilon = 1.0", "epsilon = 50.0"))
    private.approve(federation.model_copy(update={"privacy": terms}))
    prepared = declared(private.federation)
    for spread in (1e-30, 1e30):
        forged = replace(prepared, spread={"rna": torch.full((GENES,), spread)})
        asked = private.question(private.initial(), pack_preprocessing(forged))
        assert private.ask("train", asked) is RefusalCode.INPUT_UNAPPROVED
