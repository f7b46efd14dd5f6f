"""Attacks by differences: two requests that each are about enough patients, and together about few."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from client.chained_log.site_log import SiteLog, acknowledge_records
from client.disclosures.disclosure import DisclosureEntry
from client.disclosures.record import NAME
from client.rounds.assembly import SharedAgreement, SiteSources, assemble_site, close_sites
from client.rounds.exact import foreseen_exposure
from client.site_folder.site_key import KEY
from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.agreement.model_config import HierarchicalConfig
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Participant
from common.errors import RefusalCode
from common.messages.exchange import StatisticsReply, StatisticsRequest, is_refusal
from common.tasks.survival import SurvivalTask
from simulations.engines.flower_internals import acting_as_coordinator, new_run
from tests.attacks.attack_table import AttackRow
from tests.client.conftest import Hospital, Site

PATIENTS = 60
REFUSED = RefusalCode.DISCLOSURE_DIFFERS


@pytest.fixture
def tables(site_folder: Site) -> Site:
    draw = np.random.default_rng(3)
    names = [f"p{number}" for number in range(PATIENTS)]
    site_folder.clinical = pd.DataFrame(
        {
            "patient": names,
            "age": draw.normal(62, 11, PATIENTS).round(1),
            "crp": draw.gamma(2, 8, PATIENTS).round(2),
            "sex": draw.choice(["f", "m"], PATIENTS),
        }
    )
    site_folder.outcomes = pd.DataFrame(
        {"patient": names, "months": draw.gamma(2, 14, PATIENTS).round(1), "died": 1, "fold": 0}
    )
    site_folder.site["tables"] = {"outcomes": "outcomes.csv", "clinical": "clinical.csv"}
    site_folder.site["fold"] = "fold"
    return site_folder


def agreement(columns: tuple[str, ...] = ("age",)) -> Federation:
    clinical = Modality(name="clinical", node="clinical", columns=columns, categories={"sex": ("f", "m")})
    task = SurvivalTask(name="survival", time="months", event="died", unit="months", longest=600)
    return Federation(
        name="study",
        modalities=(clinical,),
        tasks=(task,),
        participants=(Participant(name="north", patients=500),),
    )


@pytest.fixture
def asked(tables: Site) -> Iterator[Hospital]:
    with acting_as_coordinator(new_run({})):
        hospital = Hospital(tables, agreement())
        hospital.write()
        yield hospital


def answer(hospital: Hospital) -> StatisticsReply | RefusalCode:
    request = StatisticsRequest(federation=hospital.federation.digest, fold=-1).to_record()
    content = hospital.ask("query.statistics", request)
    return (
        RefusalCode(str(content["header"]["code"]))
        if is_refusal(content)
        else StatisticsReply.from_record(content)
    )


def measured(told: object) -> str:
    """Outcome of a question, for the table of attacks."""
    return told.value if isinstance(told, RefusalCode) else "answered"


def answered(hospital: Hospital) -> StatisticsReply:
    reply = answer(hospital)
    assert isinstance(reply, StatisticsReply)
    return reply


def entries(hospital: Hospital) -> int:
    return len(SiteLog(hospital.folder, NAME, DisclosureEntry).contents())


@pytest.mark.attack
@pytest.mark.parametrize(
    ("setting", "value"),
    [("training__validation_fraction", "0.17"), ("training__validation_fraction", "0.13")],
)
def test_another_validation_fraction_is_refused(
    asked: Hospital, setting: str, value: str, attack_row: AttackRow
) -> None:
    """The attack of `differencing`: training sets that differ by one patient."""
    answered(asked)
    asked.change(**{setting: value})
    told = answer(asked)
    attack_row(f"exact sums of two files, {setting} {value}", "no second sums", measured(told))
    assert told == REFUSED


@pytest.mark.attack
def test_one_patient_more_is_refused_and_six_more_are_not(asked: Hospital, attack_row: AttackRow) -> None:
    def with_more(patients: int) -> None:
        clinical, outcomes = base
        more = clinical.iloc[:patients].assign(patient=[f"n{number}" for number in range(patients)])
        labels = outcomes.iloc[:patients].assign(patient=more["patient"])
        asked.site.clinical = pd.concat([clinical, more], ignore_index=True)
        asked.site.outcomes = pd.concat([outcomes, labels], ignore_index=True)
        asked.write()

    base = asked.site.clinical, asked.site.outcomes
    model = HierarchicalConfig(dropout=0, node_dropout=0, modality_dropout=0)
    asked.federation = asked.federation.model_copy(update={"privacy": PUBLIC, "model": model})
    asked.change(training__learn_task_weights="false")
    before = answered(asked)
    with_more(1)
    told = answer(asked)
    attack_row(
        "sums of a table that grew by one patient, public under privacy", "no second sums", measured(told)
    )
    assert told == REFUSED
    with_more(6)
    grown = answered(asked).moments["modality:clinical"] - before.moments["modality:clinical"]
    assert grown[0, 0] == 6
    with_more(0)
    again = answered(asked).moments["modality:clinical"]
    assert again.tobytes() == before.moments["modality:clinical"].tobytes(), "what left before is told again"


@pytest.mark.attack
def test_scaling_is_not_held_against_sums_that_may_not_leave(asked: Hospital, attack_row: AttackRow) -> None:
    """Refused and accepted spreads were a threshold test of the age of a patient who came."""
    model = HierarchicalConfig(dropout=0, node_dropout=0, modality_dropout=0)
    asked.federation = asked.federation.model_copy(update={"privacy": PUBLIC, "model": model})
    asked.change(training__learn_task_weights="false")
    answered(asked)
    more = asked.site.clinical.iloc[:1].assign(patient="n0", age=91.4)
    asked.site.outcomes = pd.concat([asked.site.outcomes, asked.site.outcomes.iloc[:1].assign(patient="n0")])
    asked.site.clinical = pd.concat([asked.site.clinical, more])
    asked.write()
    honest = asked.request()
    told = set()
    for factor in np.linspace(0.5, 2, 7, dtype=np.float32):
        spread = honest.preprocessing["spread:clinical"] * factor
        scaled = honest.preprocessing | {"spread:clinical": spread}
        told.add(asked.refusal("train", honest.model_copy(update={"preprocessing": scaled}).to_record()))
    codes = ", ".join(sorted(map(str, told)))
    attack_row("seven spreads asked after one patient more", "always disclosure-differs", codes)
    assert told == {REFUSED}


PUBLIC = Privacy(noise_multiplier=8.0, sampling_rate=1.0, expected_batch_size=60, statistics="public")


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_a_round_is_compared_though_no_statistics_were_asked_for(asked: Hospital, kind: str) -> None:
    request = asked.request()
    asked.change(training__validation_fraction="0.17")
    other = request.model_copy(update={"federation": asked.federation.digest})
    assert asked.refusal(kind, other.to_record()) == REFUSED


@pytest.mark.parametrize("changes", [{"training__seed": "1"}, {"training__validation_fraction": "0.2"}])
def test_another_split_is_refused_if_few_patients_differ(asked: Hospital, changes: dict[str, str]) -> None:
    """Nine validate: by another seed, 18 at most change sides, and their numbers are about few in some cell."""
    before = answered(asked)
    asked.change(**changes)
    told = answer(asked)
    if isinstance(told, StatisticsReply):
        assert np.abs(told.moments["modality:clinical"] - before.moments["modality:clinical"]).max() > 0
    else:
        assert told == REFUSED


def renamed(hospital: Hospital, **changes: Any) -> None:
    """Have another file approved, whose modality or task differs in what the file chooses."""
    (clinical,), (task,) = hospital.federation.modalities, hospital.federation.tasks
    of_task = {name: changes.pop(name) for name in [*changes] if name in type(task).model_fields}
    update = {
        "modalities": (clinical.model_copy(update=changes),),
        "tasks": (task.model_copy(update=of_task),),
    }
    hospital.federation = hospital.federation.model_copy(update=update)
    hospital.change()


FORMS: list[dict[str, Any]] = [{}, {"transform": "signed_log"}, {"clip": (0.0, 1000.0)}]


@pytest.mark.attack
@pytest.mark.parametrize("public", [False, True])
def test_a_death_that_was_entered_is_refused_under_another_name_of_the_task(
    asked: Hospital, public: bool, attack_row: AttackRow
) -> None:
    """Sums over events, before and after: their difference was the patient's time."""
    if public:
        model = HierarchicalConfig(dropout=0, node_dropout=0, modality_dropout=0)
        asked.federation = asked.federation.model_copy(update={"privacy": PUBLIC, "model": model})
        asked.change(training__learn_task_weights="false")
    patient = first_training_patient(asked)
    asked.site.outcomes.loc[patient + 1 :: 3, "died"] = asked.site.outcomes.loc[patient, "died"] = 0
    asked.write()
    answered(asked)
    asked.site.outcomes.loc[patient, "died"] = 1
    asked.write()
    (task,) = asked.federation.tasks
    asked.federation = asked.federation.model_copy(
        update={"tasks": (task.model_copy(update={"name": "death"}),)}
    )
    asked.change()
    told = answer(asked)
    where = "public under privacy" if public else "without privacy"
    attack_row(f"a renamed task after a death, {where}", "no second sums", measured(told))
    assert told == REFUSED


@pytest.mark.attack
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("change", ["filled", "corrected", "none"])
def test_another_form_of_a_column_is_compared_by_its_patients(
    asked: Hospital, form: dict[str, Any], change: str, attack_row: AttackRow
) -> None:
    patient, age = first_training_patient(asked), asked.site.clinical["age"].copy()
    if change == "filled":
        asked.site.clinical.loc[patient, "age"] = np.nan
        asked.write()
    answered(asked)
    asked.site.clinical["age"] = age + (np.arange(PATIENTS) == patient) * (change == "corrected")
    asked.write()
    renamed(asked, **form)
    told = answer(asked)
    if change == "none":
        same = "transform" not in form
        assert isinstance(told, StatisticsReply) is same, "the same patients with the same values, or not"
    else:
        attack_row(f"a cell {change}, then asked as {form}", "no second sums", measured(told))
        assert told == REFUSED


@pytest.mark.attack
def test_a_column_read_as_a_category_is_compared_with_its_numbers(asked: Hospital) -> None:
    patient = first_training_patient(asked)
    asked.site.clinical["age"] = np.arange(PATIENTS) % 2
    asked.write()
    answered(asked)
    sexes = {"sex": ("f", "m")}
    renamed(asked, columns=(), categories=sexes | {"age": ("0", "1")})
    answered(asked)
    asked.site.clinical.loc[patient, "age"] = 1 - asked.site.clinical.loc[patient, "age"]
    asked.write()
    assert answer(asked) == REFUSED
    renamed(asked, columns=("age",), categories=sexes)
    assert answer(asked) == REFUSED


@pytest.mark.attack
@pytest.mark.parametrize(("others", "refused"), [(1, True), (0, False), (15, False)])
def test_two_tasks_of_one_answer_may_not_differ_by_few_patients(
    asked: Hospital, others: int, refused: bool, attack_row: AttackRow
) -> None:
    """Death, and death of the disease: the difference is of who died of something else."""
    patient = first_training_patient(asked)
    asked.site.outcomes["died_of_disease"] = 1
    asked.site.outcomes.loc[patient : patient + others - 1, "died_of_disease"] = 0
    asked.write()
    (task,) = asked.federation.tasks
    other = task.model_copy(update={"name": "disease", "event": "died_of_disease"})
    asked.federation = asked.federation.model_copy(update={"tasks": (task, other)})
    asked.change()
    told = answer(asked)
    attack_row(
        f"two outcomes in which {others} patients differ",
        "refused" if refused else "answered",
        measured(told),
    )
    assert (told == REFUSED) is refused


@pytest.mark.parametrize("column", ["age", "months"])
def test_a_corrected_value_is_refused(asked: Hospital, column: str) -> None:
    answered(asked)
    table = asked.site.clinical if column == "age" else asked.site.outcomes
    table.loc[:, column] += 1.0 * (np.arange(PATIENTS) == first_training_patient(asked))
    asked.write()
    assert answer(asked) == REFUSED


def first_training_patient(hospital: Hospital) -> int:
    agreed = hospital.folder / "federation.toml"
    return int(
        assemble_site(SiteSources(hospital.folder, agreed), SharedAgreement(agreed)).split_indices(-1)[0][0]
    )


def test_the_same_patients_get_the_same_numbers_under_another_file(asked: Hospital) -> None:
    before = answered(asked)
    asked.change(training__rounds="7", statistics__minimum_count="6")
    after = answered(asked)
    assert after.moments["modality:clinical"].tobytes() == before.moments["modality:clinical"].tobytes()
    assert entries(asked) == 1, "nothing new has left"


def test_another_column_of_the_same_patients_may_leave(asked: Hospital) -> None:
    before = answered(asked).moments["modality:clinical"]
    asked.federation = agreement(("age", "crp"))
    asked.change()
    after = answered(asked).moments["modality:clinical"]
    assert after.shape == (3, before.shape[1] + 1)
    assert after[:, [0, 2, 3]].tobytes() == before.tobytes()
    assert entries(asked) == 2
    asked.change(training__validation_fraction="0.17")
    assert answer(asked) == REFUSED


def test_a_smaller_minimum_count_changes_nothing_about_what_left_before(asked: Hospital) -> None:
    asked.change(statistics__minimum_count="9")
    answered(asked)
    asked.change(statistics__minimum_count="1", training__validation_fraction="0.25")
    assert answer(asked) == REFUSED, "six patients change sides, and nine was the minimum"


def test_a_lost_record_or_key_is_told_and_never_begun_anew(asked: Hospital) -> None:
    answered(asked)
    log = SiteLog(asked.folder, NAME, DisclosureEntry)
    kept = log.path.read_bytes()
    log.path.unlink()
    asked.change(training__validation_fraction="0.17")
    assert answer(asked) == RefusalCode.RECORD_INVALID
    log.path.write_bytes(kept)
    (asked.folder / KEY).unlink()
    close_sites()
    assert answer(asked) == RefusalCode.RECORD_INVALID
    log.path.unlink()
    assert acknowledge_records(asked.folder, "the disk broke") == (NAME,)
    assert isinstance(answer(asked), StatisticsReply)


def test_the_record_holds_no_identifier_and_no_value(
    asked: Hospital, everything_logged: Callable[[], str]
) -> None:
    asked.site.clinical.loc[0, "age"] = 98.7654321
    asked.site.clinical["patient"] = asked.site.outcomes["patient"] = [f"CANARY-{n}" for n in range(PATIENTS)]
    asked.write()
    answered(asked)
    asked.change(training__validation_fraction="0.17")
    assert answer(asked) == REFUSED
    text = SiteLog(asked.folder, NAME, DisclosureEntry).path.read_text() + everything_logged()
    assert "CANARY" not in text
    assert "98.765" not in text


def test_what_would_be_refused_is_foreseen(asked: Hospital, caplog: pytest.LogCaptureFixture) -> None:
    def foreseen() -> Any:
        agreed = asked.folder / "federation.toml"
        site = assemble_site(SiteSources(asked.folder, agreed), SharedAgreement(agreed))
        return foreseen_exposure(site, site.terms)

    answered(asked)
    assert foreseen() is None
    asked.change(training__validation_fraction="0.17")
    difference = foreseen()
    assert (difference.patients, difference.least) == (1, 5)
    assert "sums of clinical.csv: age" in difference.cells
    assert entries(asked) == 1
    with caplog.at_level(logging.WARNING):
        assert answer(asked) == REFUSED
    assert "1 patient" in caplog.text


def test_a_simulated_site_keeps_no_record(asked: Hospital) -> None:
    asked.context.node_config["simulated"] = True
    answered(asked)
    asked.change(training__validation_fraction="0.17")
    answered(asked)
    assert not SiteLog(asked.folder, NAME, DisclosureEntry).path.exists()
    assert not (asked.folder / KEY).exists()
