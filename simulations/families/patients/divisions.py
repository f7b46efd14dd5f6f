"""Divisions of hospitals' patients into groups: hospital, sex, age, other columns."""

from collections.abc import Sequence

import numpy as np

from client.data.cohort import Cohort
from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.patients.divisions import Cells, Groups
from common.patients.divisions import divisions as of_columns

HOSPITAL = "hospital"


def divisions(
    cohorts: Sequence[Cohort], federation: Federation, subgroups: Sequence[str] = ()
) -> dict[str, Groups]:
    """Return division -> group [P] of the cohorts' patients, in the federation file's words.

    Cohorts follow one another. Beside the hospital divisions are sex, age and the columns asked for, as
    `common.patients.divisions` divides them.

    Args:
        cohorts: hospitals' patients.
        federation: agreement that names columns and units.
        subgroups: columns by which patients are divided besides.

    Raises:
        OptionError: if a column of `subgroups` is in no modality.
    """

    def cells(modality: Modality) -> Cells:
        name = modality.name
        values = np.concatenate([cohort.batch.values[name].numpy() for cohort in cohorts])
        seen = np.concatenate([cohort.batch.observed[name].numpy() for cohort in cohorts])
        raw = [cohort.raw.get(name, cohort.batch.values[name]).numpy() for cohort in cohorts]
        return values, seen, np.concatenate([numbers[:, : len(modality.columns)] for numbers in raw])

    sites = [cohort.site for cohort in cohorts for _ in range(len(cohort.batch))]
    divided: dict[str, Groups] = {HOSPITAL: np.array(sites, dtype=np.str_)} if len(cohorts) > 1 else {}
    names = federation.display_names
    return divided | {
        names.division(column): np.array([names.group(column, str(group)) for group in groups], dtype=np.str_)
        for column, groups in of_columns(federation, cells, subgroups).items()
    }
