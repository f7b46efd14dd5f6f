"""The federation file proposes, the hospital disposes: the stricter of the two holds."""

import re
import tomllib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from client.commands.init import SKELETON
from client.site_folder.policy import Limit, Policy, Terms, agree
from common.agreement.federation import Federation
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Participant
from common.errors import Refusal, RefusalCode
from common.privacy.accounting import Release, spend

PRIVACY = Privacy(noise_multiplier=1.5, sampling_rate=0.2, expected_batch_size=8.0, steps=3)
WITHOUT_PRIVACY = Release(mechanism="without-privacy")
MakeFederation = Callable[..., Federation]


@pytest.fixture
def make_federation(make_federation: MakeFederation) -> MakeFederation:
    """Federations that declare the sizes of their hospitals."""
    sized = tuple(Participant(name=name, patients=200) for name in ("one", "two"))
    return lambda **changes: make_federation(**({"participants": sized} | changes))


def test_an_empty_policy_takes_what_the_file_proposes(make_federation: MakeFederation) -> None:
    terms = agree(Policy(), make_federation(privacy=PRIVACY), patients=0)
    assert terms == Terms(PRIVACY, Limit(None, 1e-3), 5)
    assert agree(Policy(), make_federation(), patients=0) == Terms(None, Limit(None, 1e-3), 5)


@pytest.mark.parametrize(("floor", "proposed", "held"), [(7, 5, 7), (2, 5, 5), (1, 1, 1)])
def test_the_larger_minimum_count_holds(
    make_federation: MakeFederation, floor: int, proposed: int, held: int
) -> None:
    federation = make_federation().changed({"statistics.minimum_count": str(proposed)})
    assert agree(Policy(minimum_count=floor), federation, patients=9).minimum_count == held


POSITIVE = st.floats(1e-3, 1e3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it is a function
@given(noise=POSITIVE, statistics=POSITIVE, clip=POSITIVE, floor=st.floats(0, 1e3), cap=st.none() | POSITIVE)
def test_the_stricter_of_file_and_policy_holds(
    make_federation: MakeFederation,
    noise: float,
    statistics: float,
    clip: float,
    floor: float,
    cap: float | None,
) -> None:
    proposed = {"noise_multiplier": noise, "statistics_noise_multiplier": statistics, "clip_norm": clip}
    federation = make_federation(privacy=PRIVACY.model_copy(update=proposed))
    policy = Policy(minimum_noise_multiplier=floor, maximum_clip_norm=cap)
    privacy = agree(policy, federation, patients=9).privacy
    assert privacy is not None
    assert privacy.noise_multiplier == max(noise, floor)
    assert privacy.statistics_noise_multiplier == max(statistics, floor)
    assert privacy.clip_norm == min(clip, cap or clip)
    assert privacy.model_copy(update=proposed) == federation.privacy


def test_the_limit_is_the_hospitals_alone(make_federation: MakeFederation) -> None:
    policy = Policy(maximum_epsilon=2.0, delta=1e-5)
    assert agree(policy, make_federation(privacy=PRIVACY), patients=9).limit == Limit(2.0, 1e-5)


def with_statistics(kind: str) -> Privacy:
    return PRIVACY.model_copy(update={"statistics": kind})


DECLINED: dict[str, tuple[Policy, Privacy | None, RefusalCode]] = {
    "no privacy": (Policy(privacy="required"), None, RefusalCode.DECLINED_WITHOUT_PRIVACY),
    "no privacy, as it was spelled": (Policy(require_dp=True), None, RefusalCode.DECLINED_WITHOUT_PRIVACY),
    "no privacy for a floor": (
        Policy(minimum_noise_multiplier=0.5),
        None,
        RefusalCode.DECLINED_WITHOUT_PRIVACY,
    ),
    "no privacy for a budget": (Policy(maximum_epsilon=1e9), None, RefusalCode.DECLINED_WITHOUT_PRIVACY),
    "small cohort": (Policy(minimum_cohort=31), PRIVACY, RefusalCode.DECLINED_COHORT),
    "another task": (Policy(tasks=("survival", "response")), PRIVACY, RefusalCode.DECLINED_TASK),
    "no task": (Policy(tasks=()), PRIVACY, RefusalCode.DECLINED_TASK),
    "noised statistics": (
        Policy(statistics=("declared", "public")),
        with_statistics("noised"),
        RefusalCode.DECLINED_STATISTICS,
    ),
    "public statistics": (
        Policy(statistics=("declared", "noised")),
        with_statistics("public"),
        RefusalCode.DECLINED_STATISTICS,
    ),
    "declared statistics": (
        Policy(statistics=("noised",)),
        with_statistics("declared"),
        RefusalCode.DECLINED_STATISTICS,
    ),
    "exact sums without privacy": (
        Policy(statistics=("declared", "noised")),
        None,
        RefusalCode.DECLINED_STATISTICS,
    ),
}


@pytest.mark.parametrize("case", DECLINED)
def test_what_the_policy_forbids_is_declined_with_its_code(
    case: str, make_federation: MakeFederation
) -> None:
    policy, privacy, code = DECLINED[case]
    with pytest.raises(Refusal) as raised:
        agree(policy, make_federation(privacy=privacy), patients=30)
    assert raised.value.code == code


FAR = {"training.learning_rate": "0.9", "training.rounds": "9"}
BEYOND: dict[str, tuple[Policy, dict[str, str], int, RefusalCode]] = {
    "a wide round": (Policy(), FAR, 200, RefusalCode.DECLINED_REACH),
    "a large hospital": (Policy(), {}, 20_000, RefusalCode.DECLINED_REACH),
    "both": (Policy(), FAR, 20_000, RefusalCode.DECLINED_REACH),
    "exact gradients": (
        Policy(),
        {"training.rounds": "9", "training.linear_rounds": "4"},
        200,
        RefusalCode.DECLINED_LINEAR,
    ),
}


def lift(policy: Policy, refusal: Refusal) -> Policy:
    """The policy after the line that a refusal names was written into it."""
    lines = re.search(r"write `(.*)` under", refusal.remedy)
    assert lines is not None, refusal.remedy
    written = tomllib.loads(lines[1].replace("` and `", "\n"))
    old = {"require_dp"} if "privacy" in written else set()
    return Policy.model_validate(policy.model_dump(exclude_unset=True, exclude=old) | written)


@pytest.mark.parametrize("case", [*DECLINED, *BEYOND])
def test_a_decline_names_the_line_that_lifts_it(case: str, make_federation: MakeFederation) -> None:
    if case in DECLINED:
        policy, privacy, code = DECLINED[case]
        federation = make_federation(privacy=privacy)
    else:
        policy, changes, patients, code = BEYOND[case]
        sized = tuple(Participant(name=name, patients=patients) for name in ("one", "two"))
        federation = make_federation(participants=sized).changed(changes)
    with pytest.raises(Refusal) as raised:
        agree(policy, federation, patients=30)
    assert raised.value.code == code
    assert agree(lift(policy, raised.value), federation, patients=30)


def test_one_switch_opens_the_policy_that_init_writes(make_federation: MakeFederation) -> None:
    written = tomllib.loads(SKELETON.format(name='name = "north"'))["policy"]
    assert agree(Policy.model_validate(written), make_federation(privacy=PRIVACY), patients=30).privacy
    opened = Policy.model_validate(written | {"privacy": "allowed"})
    assert agree(opened, make_federation(), patients=30) == Terms(None, Limit(None, 1e-3), 5)
    held = agree(opened, make_federation(privacy=PRIVACY), patients=30)
    assert held.limit == Limit(written["maximum_epsilon"], written["delta"]), (
        "its limits hold where there is privacy"
    )
    with pytest.raises(Refusal):
        agree(Policy.model_validate(written), make_federation(), patients=30)


def test_two_spellings_of_the_switch_must_not_contradict_each_other() -> None:
    assert Policy(privacy="required", require_dp=True).demands_privacy
    with pytest.raises(ValidationError):
        Policy(privacy="allowed", require_dp=True)
    assert not Policy(privacy="allowed", maximum_epsilon=1.0, minimum_noise_multiplier=1.0).demands_privacy


def test_what_the_policy_just_allows_is_agreed(make_federation: MakeFederation) -> None:
    policy = Policy(
        require_dp=True,
        maximum_epsilon=1.0,
        minimum_cohort=30,
        tasks=("survival", "response", "toxicity", "another"),
        statistics=("public",),
    )
    assert agree(policy, make_federation(privacy=with_statistics("public")), patients=30).privacy is not None
    assert agree(Policy(statistics=("public",)), make_federation(), patients=30).privacy is None


@pytest.mark.parametrize(
    ("privacy", "released"),
    [
        (with_statistics("declared"), ()),
        (
            with_statistics("noised"),
            (Release(mechanism="statistics", noise_multiplier=PRIVACY.statistics_noise_multiplier),),
        ),
        (with_statistics("public"), (Release(mechanism="public-statistics"),)),
        (None, (WITHOUT_PRIVACY,)),
    ],
    ids=["declared", "noised", "public", "without"],
)
def test_statistics_release_what_their_kind_says(
    privacy: Privacy | None, released: tuple[Release, ...]
) -> None:
    assert Terms(privacy, Limit(None, 1e-3), 5).statistics_releases() == released


def test_a_round_releases_its_steps_at_the_hospitals_noise(make_federation: MakeFederation) -> None:
    federation = make_federation(privacy=with_statistics("noised"))
    terms = agree(Policy(minimum_noise_multiplier=4.0), federation, patients=9)
    assert terms.round_releases() == (
        Release(mechanism="training", noise_multiplier=4.0, sampling_rate=0.2, steps=3),
    )
    one_by_one = [*terms.statistics_releases(), *5 * terms.round_releases()]
    assert spend(terms.whole_run(5), 1e-3) == spend(one_by_one, 1e-3)


def test_explanations_cost_what_the_hospital_makes_of_them(make_federation: MakeFederation) -> None:
    privacy = PRIVACY.model_copy(update={"explanations_noise_multiplier": 3.0})
    federation = make_federation(privacy=privacy)
    stricter = agree(Policy(minimum_noise_multiplier=4.0), federation, patients=9)
    (release,) = stricter.assessment_releases()
    assert release == Release(mechanism="explanations", noise_multiplier=4.0)
    assert release in stricter.whole_run(5)
    assert agree(Policy(), federation, patients=9).assessment_releases()[0].noise_multiplier == 3.0
    declining = agree(Policy(assessment=False), federation, patients=9)
    assert declining.assessment_releases() == ()
    assert {part.mechanism for part in declining.whole_run(5)} == {"training"}


def test_a_round_without_privacy_says_so(make_federation: MakeFederation) -> None:
    terms = agree(Policy(), make_federation(), patients=9)
    assert terms.round_releases() == (WITHOUT_PRIVACY,)
    assert {*terms.whole_run(5)} == {WITHOUT_PRIVACY}


def test_a_policy_is_fixed_and_has_no_other_keys() -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate({"maximum_epsilom": 1.0})
    with pytest.raises(ValidationError):
        setattr(Policy(), "require_dp", True)  # noqa: B010


def test_the_site_file_that_init_writes_has_a_minimum_count() -> None:
    written = tomllib.loads(SKELETON.format(name='name = "north"'))
    assert Policy.model_validate(written["policy"]).minimum_count == 5


def test_a_silent_policy_has_floors_and_limits_of_its_own() -> None:
    silent = Policy()
    assert (silent.minimum_count, silent.maximum_refusals, silent.maximum_runs) == (5, 20, 1)
    assert (silent.maximum_reach, silent.largest_hospital) == (0.5, 10_000)
    assert Policy(minimum_count=1).minimum_count == 1, "whoever writes it down may have it"


@pytest.mark.parametrize(
    ("permitted", "asked", "declined"), [(0, 0, False), (0, 1, True), (5, 5, False), (5, 6, True)]
)
def test_exact_gradients_leave_only_where_the_policy_permits_so_many_rounds(
    make_federation: Callable[..., Federation], permitted: int, asked: int, declined: bool
) -> None:
    federation = make_federation().changed({"training.rounds": "9", "training.linear_rounds": str(asked)})
    federation = federation.model_copy(
        update={"participants": tuple(p.model_copy(update={"patients": 40}) for p in federation.participants)}
    )
    policy = Policy(maximum_linear_rounds=permitted)
    if not declined:
        assert agree(policy, federation, 40).privacy is None
        return
    with pytest.raises(Refusal) as refusal:
        agree(policy, federation, 40)
    assert refusal.value.code is RefusalCode.DECLINED_LINEAR
