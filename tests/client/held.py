"""A site's cohort where the test knows that it is one of patients."""

from client.data.cohort import Cohort
from client.rounds.site import Site


def cohort_of(site: Site) -> Cohort:
    """The site's patients with their folds and subgroups."""
    assert isinstance(site.cohort, Cohort)
    return site.cohort
