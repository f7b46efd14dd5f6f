"""The hospital's app under differential privacy: what leaves, what it costs, and who decides."""

import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flwr.app import ConfigRecord

from client.ledger.ledger import Ledger
from client.privacy.dp_sgd import train_privately
from client.privacy.noise import NoisedSums
from common.agreement.federation import save
from common.agreement.privacy_settings import Privacy
from common.errors import RefusalCode
from common.messages.exchange import ModelRequest, StatisticsRequest, TrainReply
from common.models.registry import model_groups
from common.privacy.accounting import Release, spend
from common.privacy.planning import with_privacy

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

PRIVACY = Privacy(noise_multiplier=2.0, sampling_rate=0.5, expected_batch_size=6, steps=2, learn="all")
ROUND = Release(mechanism="training", noise_multiplier=2.0, sampling_rate=0.5, steps=2)


@pytest.fixture
def private(hospital: "Hospital") -> "Hospital":
    return under(hospital, PRIVACY)


def under(hospital: "Hospital", privacy: Privacy) -> "Hospital":
    hospital.federation = with_privacy(hospital.federation, privacy)
    save(hospital.federation, hospital.folder / "federation.toml")
    return hospital


def bounded(hospital: "Hospital") -> None:
    """Give every column that noised sums need a plausible range."""
    clinical, rna = hospital.federation.modalities
    ranges = {**clinical.ranges, "crp": clinical.plausible_for("age")}
    modalities = (clinical.model_copy(update={"ranges": ranges}), rna)
    hospital.federation = hospital.federation.model_copy(update={"modalities": modalities})


def policy(hospital: "Hospital", **settings: Any) -> None:
    hospital.site.site["policy"] = settings
    hospital.site.site.pop("fold", None)
    hospital.write()


def ledger(hospital: "Hospital") -> list[Release]:
    with Ledger(hospital.folder) as book:
        return book.releases()


def statistics_request(hospital: "Hospital") -> Any:
    return StatisticsRequest(federation=hospital.federation.digest, fold=-1).to_record()


def test_a_round_sends_weights_and_nothing_else(private: "Hospital") -> None:
    request = private.request()
    reply = TrainReply.from_record(private.ask("train", request.to_record()))
    assert reply.metrics == {}
    assert reply.patients == {
        group.name: 1.0 for group in model_groups(private.federation, reply.weights).groups
    }
    assert all((reply.weights[name] != array).any() for name, array in request.weights.items())
    assert private.evaluate().metrics == {}


def test_the_same_request_gives_other_noise(private: "Hospital") -> None:
    request = private.request().to_record()
    first, second = (TrainReply.from_record(private.ask("train", request)) for _ in range(2))
    assert all((second.weights[name] != array).any() for name, array in first.weights.items())


def test_a_modality_without_a_table_is_neither_trained_nor_noised(
    private: "Hospital", site_folder: Any
) -> None:
    del site_folder.site["tables"]["rna"]
    private.write()
    request = private.request()
    reply = TrainReply.from_record(private.ask("train", request.to_record()))
    groups = model_groups(private.federation, request.weights)
    for name, array in request.weights.items():
        rna = name.startswith("branches.rna.")
        assert bool((reply.weights[name] == array).all()) == rna
        assert reply.patients[groups[name].name] == float(not rna)


def test_linear_training_leaves_the_graph_alone(hospital: "Hospital") -> None:
    under(hospital, PRIVACY.model_copy(update={"learn": "linear"}))
    request = hospital.request()
    reply = TrainReply.from_record(hospital.ask("train", request.to_record()))
    moved = {name for name, array in request.weights.items() if (reply.weights[name] != array).any()}
    assert moved == {
        n for n in request.weights if ".scores." in n or (n.startswith("heads.") and "bias" in n)
    }


def test_every_round_is_in_the_ledger_also_that_of_another_run(private: "Hospital") -> None:
    private.train(round=1)
    private.train(round=1)
    private.train(round=2)
    assert spend(ledger(private), 1e-3) == spend([ROUND.model_copy(update={"steps": 6})], 1e-3)
    with Ledger(private.folder) as book:
        kinds = [entry.kind for entry in book.entries()]
    assert kinds == ["opened", *["asked", "reserved", "committed"] * 3]


def test_declared_statistics_say_nothing_and_cost_nothing(private: "Hospital", site_folder: Any) -> None:
    first = private.ask("query.statistics", statistics_request(private))
    assert ledger(private) == []
    site_folder.outcomes = site_folder.outcomes.iloc[:10]
    for table in ("clinical", "rna"):
        rows = getattr(site_folder, table)
        setattr(site_folder, table, rows[rows["patient"].isin(site_folder.outcomes["patient"])])
    site_folder.clinical["age"] += 10
    private.write()
    assert private.ask("query.statistics", statistics_request(private)) == first
    assert private.statistics().moments == {}


def test_noised_statistics_are_paid_for(hospital: "Hospital") -> None:
    terms = {"statistics": "noised", "statistics_noise_multiplier": 0.1}
    bounded(hospital)
    under(hospital, PRIVACY.model_copy(update=terms))
    first = hospital.statistics()
    assert hospital.refusal("query.statistics", statistics_request(hospital)) is RefusalCode.DECLINED_BUDGET
    policy(
        hospital, maximum_epsilon=1e9, statistics=["noised"]
    )  # a limit of its own, in place of once per file
    second = hospital.statistics()
    assert all((array != second.moments[name]).any() for name, array in first.moments.items())
    paid = Release(mechanism="statistics", noise_multiplier=0.1)
    assert spend(ledger(hospital), 1e-3) == spend([paid, paid], 1e-3)


def test_public_statistics_are_exact_and_named_in_the_ledger(hospital: "Hospital") -> None:
    under(hospital, PRIVACY.model_copy(update={"statistics": "public"}))
    assert hospital.statistics().moments["modality:rna"][0].tolist() == [12, 12]
    assert [release.mechanism for release in ledger(hospital)] == ["public-statistics"]
    for settings in ({"statistics": ["declared", "noised"]}, {"require_dp": True}):
        policy(hospital, **settings)
        code = hospital.refusal("query.statistics", statistics_request(hospital))
        assert code is RefusalCode.DECLINED_STATISTICS
    policy(hospital, require_dp=True, statistics=["public"])
    assert hospital.statistics().moments


def test_training_without_privacy_is_in_the_ledger_once(hospital: "Hospital") -> None:
    hospital.train()
    hospital.train(round=2)
    assert [release.mechanism for release in ledger(hospital)] == ["without-privacy"]
    policy(hospital, maximum_epsilon=1000.0)
    under(hospital, PRIVACY)
    assert hospital.refusal("train", hospital.request().to_record()) is RefusalCode.DECLINED_BUDGET


def test_the_budget_ends_the_run_and_not_a_round_later(private: "Hospital") -> None:
    limit = spend([ROUND.model_copy(update={"steps": 4})], 1e-3).epsilon * 1.001
    policy(private, maximum_epsilon=limit, delta=1e-3)
    private.train(round=1)
    private.train(round=2)
    for _ in range(2):
        assert private.refusal("train", private.request().to_record()) is RefusalCode.DECLINED_BUDGET
    assert spend(ledger(private), 1e-3).epsilon <= limit


def test_a_run_that_the_budget_cannot_cover_is_declined_before_it_begins(private: "Hospital") -> None:
    policy(private, maximum_epsilon=spend([ROUND], 1e-3).epsilon * 1.1, delta=1e-3)
    assert private.refusal("query.statistics", statistics_request(private)) is RefusalCode.DECLINED_BUDGET
    assert ledger(private) == []


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"minimum_cohort": 13}, RefusalCode.DECLINED_COHORT),
        ({"tasks": ["survival"]}, RefusalCode.DECLINED_TASK),
        ({"statistics": ["noised"]}, RefusalCode.DECLINED_STATISTICS),
    ],
)
@pytest.mark.parametrize("kind", ["query.statistics", "train", "evaluate"])
def test_what_policy_forbids_is_declined_with_a_code(
    settings: dict[str, Any], code: RefusalCode, kind: str, private: "Hospital"
) -> None:
    policy(private, **settings)
    request = statistics_request(private) if kind == "query.statistics" else private.request().to_record()
    assert private.refusal(kind, request) is code
    assert ledger(private) == []


@pytest.mark.parametrize("kind", ["query.statistics", "train", "evaluate"])
def test_no_run_without_privacy_where_policy_asks_for_it(kind: str, hospital: "Hospital") -> None:
    request = hospital.request().to_record() if kind != "query.statistics" else statistics_request(hospital)
    before = ledger(hospital)
    policy(hospital, require_dp=True)
    assert hospital.refusal(kind, request) is RefusalCode.DECLINED_WITHOUT_PRIVACY
    assert ledger(hospital) == before


def test_the_stricter_of_file_and_policy_is_what_is_computed_and_what_is_booked(
    private: "Hospital", monkeypatch: pytest.MonkeyPatch
) -> None:
    policy(private, minimum_noise_multiplier=5.0, maximum_clip_norm=0.1)
    computed: list[Privacy] = []

    def spy(*arguments: Any) -> None:
        computed.append(next(each for each in arguments if isinstance(each, Privacy)))
        train_privately(*arguments)

    monkeypatch.setattr("client.rounds.train.train_privately", spy)
    private.train()
    assert computed == [
        PRIVACY.model_copy(
            update={"noise_multiplier": 5.0, "clip_norm": 0.1, "statistics_noise_multiplier": 10.0}
        )
    ]
    assert ledger(private) == [ROUND.model_copy(update={"noise_multiplier": 5.0})]


def test_the_noise_of_statistics_is_what_is_booked(
    hospital: "Hospital", monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded(hospital)
    under(hospital, PRIVACY.model_copy(update={"statistics": "noised", "statistics_noise_multiplier": 3.0}))
    policy(hospital, minimum_noise_multiplier=7.0)
    computed: list[float] = []

    def spy(size: int, bound: float, noise: float) -> NoisedSums:
        computed.append(noise)
        return NoisedSums(size, bound, noise)

    monkeypatch.setattr("client.rounds.statistics.NoisedSums", spy)
    hospital.statistics()
    assert computed == [7.0]
    assert ledger(hospital) == [Release(mechanism="statistics", noise_multiplier=7.0)]


def test_no_round_is_trained_but_those_approved(private: "Hospital") -> None:
    for number in (0, private.federation.training.rounds + 1, 2**40):
        request = private.request(round=number).to_record()
        assert private.refusal("train", request) is RefusalCode.REQUEST_INVALID
    assert ledger(private) == []


def test_without_a_limit_a_file_gets_the_rounds_it_was_approved_for(private: "Hospital") -> None:
    private.change(training__rounds="2")
    private.train(round=1)
    private.train(round=1)
    request = private.request(round=2).to_record()
    assert private.refusal("train", request) is RefusalCode.DECLINED_BUDGET
    private.change(training__rounds="3")  # another agreement, approved anew
    private.train(round=2)


def test_a_request_that_is_invalid_costs_nothing(private: "Hospital") -> None:
    wrong: list[dict[str, Any]] = [{"weights": {}}, {"preprocessing": {}}, {"federation": "0" * 64}]
    for changes in wrong:
        private.refusal("train", private.request(**changes).to_record())
    assert ledger(private) == []


def test_no_answer_tells_how_many_patients_a_fold_leaves(private: "Hospital", site_folder: Any) -> None:
    site_folder.outcomes["fold"] = [0] * 11 + [1]
    private.write()
    for fold in (-1, 0, 1, 5):
        assert private.statistics(fold).patients == 1
        assert private.train(fold=fold).metrics == {}


def test_a_hospital_that_demands_privacy_lets_nobody_choose_a_fold(
    private: "Hospital", site_folder: Any
) -> None:
    policy(private, require_dp=True)
    site_folder.site["fold"] = "fold"
    private.write()
    code = private.refusal("query.statistics", statistics_request(private))
    assert code is RefusalCode.COHORT_INVALID


def test_a_file_that_breaks_the_guarantee_is_refused(private: "Hospital") -> None:
    private.change(model__dropout="0.3")
    assert private.refusal("train", private.request().to_record()) is RefusalCode.GUARANTEE_BROKEN


def extra_header(request: ModelRequest) -> Any:
    record = request.to_record()
    record.config_records["header"]["noise_multiplier"] = 0.0
    return record


def extra_record(request: ModelRequest) -> Any:
    record = request.to_record()
    record["policy"] = ConfigRecord({"require_dp": False, "maximum_epsilon": 1e9})
    return record


def weaker_file(request: ModelRequest) -> Any:
    return request.model_copy(update={"federation": "0" * 64}).to_record()


@pytest.mark.parametrize("craft", [extra_header, extra_record, weaker_file])
def test_no_message_changes_policy_or_ledger(
    craft: Callable[[ModelRequest], Any], private: "Hospital"
) -> None:
    code = private.refusal("train", craft(private.request()))
    assert code in (RefusalCode.REQUEST_INVALID, RefusalCode.FEDERATION_MISMATCH)
    assert ledger(private) == []


def test_neither_run_nor_node_configuration_changes_policy_or_ledger(
    private: "Hospital", tmp_path_factory: pytest.TempPathFactory
) -> None:
    policy(private, maximum_epsilon=0.01, minimum_noise_multiplier=5.0)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    wishes: dict[str, Any] = {
        "policy": "",
        "policy.maximum_epsilon": 1e9,
        "maximum_epsilon": 1e9,
        "require_dp": False,
        "noise_multiplier": 0.0,
        "ledger": str(elsewhere),
        "state": str(elsewhere),
        "delta": 0.5,
    }
    private.context.run_config.update(wishes)
    private.context.node_config.update(wishes)
    assert private.refusal("train", private.request().to_record()) is RefusalCode.DECLINED_BUDGET
    assert list(elsewhere.iterdir()) == []
    assert ledger(private) == []


def test_without_its_ledger_a_cohort_that_has_trained_trains_no_more(private: "Hospital") -> None:
    private.train()
    shutil.rmtree(private.folder / "ledger")
    assert private.refusal("train", private.request().to_record()) is RefusalCode.LEDGER_MISSING


def test_a_failure_after_the_reservation_is_counted(
    private: "Hospital", monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("patient CANARY-8371")

    with monkeypatch.context() as patch:
        patch.setattr("client.rounds.train.train_privately", explode)
        assert private.refusal("train", private.request().to_record()) is RefusalCode.INTERNAL
    assert spend(ledger(private), 1e-3) == spend([ROUND], 1e-3)


def test_no_canary_leaves_and_none_is_in_the_ledger(
    private: "Hospital", site_folder: Any, everything_logged: Callable[[], str]
) -> None:
    site_folder.outcomes["free_text"] = "CANARYLEVEL"
    site_folder.clinical.loc[0, "crp"] = 98765.4321
    private.write()
    private.statistics()
    private.train()
    private.evaluate()
    private.assert_quiet(everything_logged())
    assert np.array([98765.4321], np.float32).tobytes() not in private.wire
    kept = [path for folder in (private.folder / "ledger", private.state) for path in folder.rglob("*.*")]
    assert kept
    for path in kept:
        assert not any(canary in path.read_bytes() for canary in (b"CANARY", b"98765.4", b"north"))
