"""A hospital is told what remains without privacy, and what the site would refuse because of what left before."""

from pathlib import Path
from typing import TYPE_CHECKING

from client.chained_log.site_log import SiteLog
from client.commands.approve import read_proposal
from client.commands.approve_disclosure import disclosure_in_words
from client.disclosures.disclosure import DisclosureEntry
from client.disclosures.record import NAME
from client.site_folder.places import Home
from common.agreement.federation import FILE_NAME, load, save
from common.agreement.modalities import Plausible
from common.agreement.privacy_settings import Privacy
from common.errors import RefusalCode
from common.privacy.planning import with_privacy
from tests.client.conftest import DECLARED

if TYPE_CHECKING:
    from tests.client.conftest import Hospital


def told(home: Home, proposal: Path) -> str:
    return "\n".join(disclosure_in_words(home, read_proposal(home, proposal)))


def test_what_remains_is_told_with_its_size(prepared: Home, proposal: Path) -> None:
    text, federation = told(prepared, proposal), load(proposal / FILE_NAME)
    assert "9 patients" in text
    assert f"{federation.training.rounds + 2} messages" in text
    assert RefusalCode.DISCLOSURE_DIFFERS not in text
    assert SiteLog(prepared.folder, NAME, DisclosureEntry).contents() == (), "nothing is entered"


def test_a_file_whose_sums_would_be_refused_says_so(
    hospital: "Hospital", prepared: Home, proposal: Path
) -> None:
    hospital.statistics()
    federation = load(proposal / FILE_NAME)
    save(federation.changed({"training.validation_fraction": "0.3"}), proposal / FILE_NAME)
    text = told(prepared, proposal)
    assert RefusalCode.DISCLOSURE_DIFFERS in text
    assert "1 patient," in text


def test_with_declared_statistics_nothing_exact_leaves(prepared: Home, proposal: Path) -> None:
    federation = load(proposal / FILE_NAME)
    private = Privacy(noise_multiplier=8.0, sampling_rate=0.5, expected_batch_size=6)
    save(with_privacy(federation, private), proposal / FILE_NAME)
    assert told(prepared, proposal) == ""


def test_tables_that_cannot_be_read_are_told(prepared: Home, proposal: Path) -> None:
    (prepared.folder / "outcomes.csv").unlink()
    text = told(prepared, proposal)
    assert "could not be compared" in text
    assert "outcomes.csv" in text


def test_tables_that_a_file_does_not_fit_are_told_before_the_coordinator_learns_it(
    prepared: Home, proposal: Path
) -> None:
    """A range that a patient lies outside is a question about that patient, with privacy as well."""
    federation = load(proposal / FILE_NAME)
    private = Privacy(noise_multiplier=8.0, sampling_rate=0.5, expected_batch_size=6)
    ranges = {"age": Plausible(unit="years", low=0, high=60.5)}
    asking = federation.modalities[0].model_copy(update={"ranges": ranges})
    federation = federation.model_copy(update={"modalities": (asking, *federation.modalities[1:])})
    for proposed in (federation, with_privacy(federation, private)):
        save(proposed, proposal / FILE_NAME)
        assert f"THE SITE WILL REFUSE ({RefusalCode.COHORT_INVALID})" in told(prepared, proposal)


def test_how_fine_a_requests_scaling_may_be_is_told(prepared: Home, proposal: Path) -> None:
    assert f"{(DECLARED / 9) ** 0.5:.3g} times finer" in told(prepared, proposal)
