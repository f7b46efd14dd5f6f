"""Refusals of the hospital's app, and the values that never leave with a refusal."""

import errno
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from client.rounds.assembly import open_site
from common.agreement.federation import save
from common.agreement.settings import Training
from common.errors import Refusal, RefusalCode
from common.messages.exchange import PACKED, ModelRequest, RefusalReply, StatisticsRequest, is_refusal

if TYPE_CHECKING:
    from tests.client.conftest import Hospital


def test_a_statistics_request_with_a_seed_is_invalid(hospital: "Hospital") -> None:
    request = StatisticsRequest(federation=hospital.federation.digest, fold=-1).to_record()
    request.config_records["header"]["seed"] = 1
    assert hospital.refusal("query.statistics", request) is RefusalCode.REQUEST_INVALID


def spoilt_weights(change: Callable[[dict[str, Any]], object]) -> Callable[[ModelRequest], ModelRequest]:
    def spoil(request: ModelRequest) -> ModelRequest:
        weights = dict(request.weights)
        change(weights)
        return request.model_copy(update={"weights": weights})

    return spoil


def spoilt_preprocessing(
    change: Callable[[dict[str, Any]], object],
) -> Callable[[ModelRequest], ModelRequest]:
    def spoil(request: ModelRequest) -> ModelRequest:
        preprocessing = dict(request.preprocessing)
        change(preprocessing)
        return request.model_copy(update={"preprocessing": preprocessing})

    return spoil


WRONG_REQUESTS: dict[str, Callable[[ModelRequest], ModelRequest]] = {
    "weights of another shape": spoilt_weights(lambda w: w.update({"patient.bias": np.ones(3, np.float32)})),
    "weights that could be broadcast": spoilt_weights(
        lambda w: w.update({"patient.bias": np.ones(1, np.float32)})
    ),
    "weights of another type": spoilt_weights(
        lambda w: w.update({"patient.bias": w["patient.bias"].astype("f8")})
    ),
    "weights missing": spoilt_weights(lambda w: w.pop("patient.bias")),
    "weights of no layer": spoilt_weights(lambda w: w.update({"x": np.ones(1, np.float32)})),
    "no weights": spoilt_weights(lambda w: w.clear()),
    "weights that are not finite": spoilt_weights(
        lambda w: w.update({"patient.bias": w["patient.bias"] * np.float32(np.nan)})
    ),
    "preprocessing that is not a number": spoilt_preprocessing(
        lambda p: p.update({"center:rna": p["center:rna"] * np.float32(np.nan)})
    ),
    "no preprocessing": spoilt_preprocessing(lambda p: p.clear()),
    "preprocessing of another modality": spoilt_preprocessing(
        lambda p: p.update({"center:ct": p["center:rna"]})
    ),
    "preprocessing of no kind": spoilt_preprocessing(lambda p: p.update({"median:rna": p["center:rna"]})),
    "preprocessing of another shape": spoilt_preprocessing(
        lambda p: p.update({"spread:rna": np.ones(1, np.float32)})
    ),
    "preprocessing of another precision": spoilt_preprocessing(
        lambda p: p.update({"spread:rna": np.ones(2, np.float64)})
    ),
    "fewer hazard intervals": spoilt_preprocessing(
        lambda p: p.update({"cuts:survival": p["cuts:survival"][:-1]})
    ),
}


@pytest.mark.parametrize("kind", ["train", "evaluate"])
@pytest.mark.parametrize("case", WRONG_REQUESTS)
def test_a_request_for_another_model_is_invalid(case: str, kind: str, hospital: "Hospital") -> None:
    request = WRONG_REQUESTS[case](hospital.request())
    assert hospital.refusal(kind, request.to_record()) is RefusalCode.REQUEST_INVALID


GARBAGE: dict[str, RecordDict] = {
    "nothing": RecordDict(),
    "a header only": RecordDict({"header": ConfigRecord({"message": "ModelRequest"})}),
    "text": RecordDict({"header": ConfigRecord({"query": "SELECT * FROM patients"})}),
    "undecodable arrays": RecordDict(
        {
            "header": ConfigRecord(
                {
                    **{"message": "ModelRequest", "federation": "", "round": 1, "fold": 0, "seed": 0},
                    "manifest": b"",
                }
            ),
            PACKED: ArrayRecord({PACKED: Array("uint8", (2,), "numpy.ndarray", b"")}),
        }
    ),
    "a reply": RefusalReply(site="north", code=RefusalCode.INTERNAL).to_record(),
}


@pytest.mark.parametrize("kind", ["query.statistics", "train", "evaluate"])
@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_is_an_invalid_request(case: str, kind: str, hospital: "Hospital") -> None:
    assert hospital.refusal(kind, GARBAGE[case]) is RefusalCode.REQUEST_INVALID


@pytest.mark.parametrize("kind", ["query.statistics", "train", "evaluate"])
def test_another_federation_file_is_refused(kind: str, hospital: "Hospital") -> None:
    digest = hospital.federation.changed({"training.rounds": "7"}).digest
    request: Any = StatisticsRequest(federation=digest, fold=-1)
    if kind != "query.statistics":
        request = hospital.request(federation=digest)
    assert hospital.refusal(kind, request.to_record()) is RefusalCode.FEDERATION_MISMATCH


def test_training_that_diverges_is_a_refusal(hospital: "Hospital", monkeypatch: pytest.MonkeyPatch) -> None:
    """No number of a file leads there."""
    hospital.site.site["policy"] = {"maximum_reach": 1e300}
    hospital.write()
    monkeypatch.setattr(Training, "decay", lambda *_: 1e42)
    assert hospital.refusal("train", hospital.request().to_record()) is RefusalCode.TRAINING_DIVERGED


def test_nobody_left_to_train_on_is_a_refusal(hospital: "Hospital", site_folder: Any) -> None:
    site_folder.outcomes["fold"] = [0] * 11 + [1]
    hospital.write()
    request = StatisticsRequest(federation=hospital.federation.digest, fold=0).to_record()
    assert hospital.refusal("query.statistics", request) is RefusalCode.NO_TRAINING_PATIENTS


def missing_site_file(site: Any) -> None:
    (site.folder / "site.toml").unlink()


def other_approval(site: Any) -> None:
    site.site["approved"] = "0" * 64
    site.write()


def broken_federation_file(site: Any) -> None:
    (site.folder / "federation.toml").write_text("name = 'CANARY-8371")


def wrong_unit(site: Any) -> None:
    site.clinical.loc[3, "age"] = 98765.4321
    site.write()


@pytest.mark.parametrize("spoil", [missing_site_file, other_approval, broken_federation_file, wrong_unit])
def test_a_cohort_that_does_not_hold_is_a_refusal_until_it_is_mended(
    spoil: Callable[[Any], None], hospital: "Hospital", site_folder: Any
) -> None:
    request = StatisticsRequest(federation=hospital.federation.digest, fold=-1).to_record()
    spoil(site_folder)
    assert hospital.refusal("query.statistics", request) is RefusalCode.COHORT_INVALID
    site_folder.site.pop("approved", None)
    site_folder.clinical.loc[3, "age"] = 53.0
    save(hospital.federation, site_folder.folder / "federation.toml")
    hospital.write()
    assert hospital.statistics().patients == 9


def test_an_exception_inside_becomes_a_code(
    hospital: "Hospital", everything_logged: Callable[[], str]
) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("patient CANARY-8371 has 98765.4321")

    request = hospital.request().to_record()
    open_site(hospital.context).model.register_forward_pre_hook(explode)
    assert hospital.refusal("train", request) is RefusalCode.INTERNAL
    assert hospital.refusal("evaluate", request) is RefusalCode.INTERNAL
    hospital.assert_quiet(everything_logged())
    assert "RuntimeError" in everything_logged(), "the site's own log must say what failed"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_inside_has_a_code_of_its_own(hospital: "Hospital", number: int) -> None:
    def explode(*_: object) -> None:
        raise Refusal(RefusalCode.RECORD_UNAVAILABLE) from OSError(number, "as the system says")

    request = hospital.request().to_record()
    open_site(hospital.context).model.register_forward_pre_hook(explode)
    assert hospital.refusal("train", request) is RefusalCode.DISK_FULL


@pytest.mark.parametrize("refused", [False, True])
def test_the_sites_own_log_says_why_it_refused_and_no_value(
    refused: bool,
    hospital: "Hospital",
    everything_logged: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def explode(*_: object) -> None:
        try:
            raise KeyError("CANARYLEVEL")
        except KeyError as error:
            failed = RuntimeError("patient CANARY-8371 has 98765.4321")
            if refused:
                raise Refusal(RefusalCode.TRAINING_DIVERGED) from failed
            raise failed from error

    request = hospital.request()
    open_site(hospital.context).model.register_forward_pre_hook(explode)
    caplog.clear()
    code = RefusalCode.TRAINING_DIVERGED if refused else RefusalCode.INTERNAL
    assert hospital.refusal("train", request.to_record()) is code
    hospital.refusal("train", RecordDict())
    hospital.refusal("train", hospital.request(federation="0" * 64).to_record())
    hospital.site.clinical.loc[3, "age"] = 98765.4321
    hospital.write()
    hospital.refusal("query.statistics", RecordDict())
    told = [record.getMessage() for record in caplog.records if record.name == "consilium.site"]
    told = [line for line in told if line.startswith("refused")]
    where = "" if refused else r" at test_app_refusals\.py:\d+"  # what was never raised has no place
    patterns = [
        rf"refused: {code} \(RuntimeError{where}\)",
        r"refused: request-invalid \(this is not a valid ModelRequest: the record header .*\)",
        r"refused: federation-mismatch",
        r"refused: cohort-invalid \(.*clinical\.csv.*\)",
    ]
    assert len(told) == len(patterns)
    for pattern, line in zip(patterns, told, strict=True):
        assert re.fullmatch(pattern, line)
    hospital.assert_quiet(everything_logged())


def test_no_canary_leaves_a_sound_cohort(
    hospital: "Hospital", site_folder: Any, everything_logged: Callable[[], str]
) -> None:
    """Identifiers and unused columns; and a value that is used, of a single patient, leaves in no reply either."""
    site_folder.outcomes["free_text"] = "CANARYLEVEL"
    site_folder.clinical["phone"] = 98765.4321
    site_folder.clinical.loc[0, "crp"] = 98765.4321
    hospital.write()
    (site_folder.folder / "site.toml").touch()
    hospital.statistics()
    hospital.train()
    hospital.evaluate()
    hospital.assert_quiet(everything_logged())
    single = np.array([98765.4321])
    for number in (single, single.astype(np.float32)):
        assert number.tobytes() not in hospital.wire


def broken_table(site: Any) -> None:
    (site.folder / "clinical.csv").write_bytes(b'patient,age\n"CANARY-8371,98765.4321\nCANARYLEVEL,1,2,3\n')


def broken_parquet(site: Any) -> None:
    (site.folder / "rna.parquet").write_bytes(b"PAR1 CANARY-8371 98765.4321 \x00\xff")


def text_in_numbers(site: Any) -> None:
    site.clinical.loc[0, "crp"] = "CANARYLEVEL 98765.4321"
    site.write()


def unknown_level(site: Any) -> None:
    site.clinical.loc[0, "stage"] = "CANARYLEVEL"
    site.write()


def duplicate_patient(site: Any) -> None:
    site.outcomes.loc[1, "patient"] = "CANARY-8371"
    site.write()


def infinite_time(site: Any) -> None:
    site.outcomes.loc[0, "months"] = 98765.4321
    site.write()


BROKEN = [
    broken_table,
    broken_parquet,
    text_in_numbers,
    unknown_level,
    duplicate_patient,
    infinite_time,
    wrong_unit,
]


@pytest.mark.parametrize("spoil", BROKEN)
@pytest.mark.filterwarnings("error")
def test_no_canary_leaves_a_broken_cohort(
    spoil: Callable[[Any], None],
    hospital: "Hospital",
    site_folder: Any,
    everything_logged: Callable[[], str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    spoil(site_folder)
    request = StatisticsRequest(federation=hospital.federation.digest, fold=-1).to_record()
    for kind in ("query.statistics", "train", "evaluate"):
        assert hospital.refusal(kind, request) is RefusalCode.COHORT_INVALID
    hospital.assert_quiet(everything_logged())
    hospital.assert_quiet("".join(capfd.readouterr()))
    assert (
        "clinical.csv" in everything_logged()
        or "outcomes.csv" in everything_logged()
        or ("rna.parquet" in everything_logged())
    )


def test_an_unknown_question_is_not_answered(hospital: "Hospital") -> None:
    with pytest.raises(ValueError):
        hospital.ask("query.patients", RecordDict())


@pytest.mark.parametrize(
    ("kind", "round_", "refused"),
    [
        ("train", 0, True),
        ("train", 2, False),
        ("train", 3, True),
        ("train", 1000, True),
        ("evaluate", 0, True),
        ("evaluate", 3, False),  # the closing evaluation comes after the last round
        ("evaluate", 4, True),
    ],
)
def test_a_round_that_was_not_agreed_on_is_refused(
    hospital: "Hospital", kind: str, round_: int, refused: bool
) -> None:
    hospital.change(training__rounds="2")
    request = hospital.request(round=round_).to_record()
    if refused:
        assert hospital.refusal(kind, request) is RefusalCode.REQUEST_INVALID
    else:
        assert not is_refusal(hospital.ask(kind, request))
