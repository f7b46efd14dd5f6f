"""Entry of a release in the privacy ledger, before it is computed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from client.ledger.entries import AskedQuestion, Entry
from client.ledger.ledger import Ledger
from client.rounds.site import Site
from client.site_folder.policy import Terms
from common.errors import Refusal, RefusalCode
from common.privacy.accounting import Release


def _costs(releases: tuple[Release, ...]) -> bool:
    """Whether a repetition of these releases costs more; public statistics stay the same."""
    return any(release.mechanism != "public-statistics" for release in releases)


@contextmanager
def accounted(
    site: Site,
    terms: Terms,
    round_: int | None,
    decide: Callable[[Sequence[Entry]], AskedQuestion],
    assessment: bool = False,
) -> Iterator[None]:
    """Record a question, reserve its answer's releases, and commit them once it is computed.

    Args:
        site: that is asked.
        terms: on which it answers.
        round_: of training; None for statistics.
        decide: makes the question to be recorded of the ledger's entries, or refuses it.
        assessment: whether the question is about the trained model.

    Raises:
        Refusal: if the budget does not cover it, or the ledger is not as it should be.
    """
    run, rounds = site.digest, site.federation.training.rounds
    if assessment:
        releases, times = terms.assessment_releases(), 1
    elif round_ is None:
        releases, times = terms.statistics_releases(), 1
    else:
        releases, times = terms.round_releases(), rounds
    unit = site.family.words(site.federation).singular
    with Ledger(site.folder) as ledger:
        if round_ is None:
            ledger.require(run, terms.whole_run(rounds), terms.limit, unit)
        if releases and terms.privacy is not None and terms.limit.epsilon is None:
            mechanisms = {release.mechanism for release in releases}
            had = sum(
                entry.kind == "reserved" and mechanisms == {release.mechanism for release in entry.releases}
                for entry in ledger.entries()
                if entry.run == run
            )
            # what was approved, where the policy has no limit of its own: each round once, and all else once
            if had >= times and _costs(releases):
                raise Refusal(RefusalCode.DECLINED_BUDGET)
        ledger.ask(run, decide)
        number = ledger.reserve(run, round_, releases, terms.limit, unit) if releases else None
        yield
        if number is not None:
            ledger.commit(number)
