"""Checks of patients' tables before a number is shown."""

from typing import TYPE_CHECKING

from common.agreement.federation import Federation
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.release.members import STRUCTURE
from common.structure.content import read_structure
from common.structure.judgement import TableJudgement, judged

if TYPE_CHECKING:
    from common.prediction.network import Network


def checked(network: "Network", patients: PatientBatch) -> TableJudgement:
    """Judge raw patients.

    A network without a structure, as of a run that was not released, finds extreme values alone.

    Raises:
        InputError: if the structure is of another federation file.
    """
    federation, prepared = network.federation, network.preprocessing
    assert isinstance(federation, Federation)
    assert isinstance(prepared, Preprocessing)
    structure = None
    if network.structure is not None:
        structure = read_structure(network.structure, federation, STRUCTURE)
    return judged(federation, prepared.apply(patients), structure)
