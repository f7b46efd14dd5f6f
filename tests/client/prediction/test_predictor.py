import pytest

from client.prediction.patients.predictor import PREDICTOR
from client.prediction.predictor import predictor_of
from common.agreement import kinds
from common.agreement.federation import Federation
from common.errors import InvalidContentError


def test_patients_have_a_predictor_and_a_kind_without_one_is_refused(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predictor_of(federation) is PREDICTOR
    silent = kinds.Kind(agreement="a:A", family="f:F", reader="r:R")
    monkeypatch.setitem(kinds._KINDS, federation.kind, silent)
    with pytest.raises(InvalidContentError):
        predictor_of(federation)
