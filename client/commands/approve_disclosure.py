"""Remaining risk of a federation file for this hospital's own patients, in words."""

import math
from collections.abc import Iterator

from client.commands.approve import Proposal
from client.site_folder.places import Home
from common.agreement.reach import patients_in_all
from common.errors import InputError, MachineError, Refusal, RefusalCode, refusal_text
from common.families.registry import family_of


def disclosure_in_words(home: Home, proposal: Proposal) -> Iterator[str]:
    """Write what numbers, weights or a refusal tell of this hospital's patients.

    It follows from the hospital's tables and its record, in which nothing is entered. The numbers of patients are for
    the hospital's own terminal.
    """
    # imports everything that training needs
    from client.rounds.assembly import SharedAgreement, SiteSources, assemble_site
    from client.rounds.exact import foreseen_exposure

    privacy, training, exposure = proposal.terms.privacy, None, None
    is_exact = privacy is None or privacy.statistics == "public"
    try:
        site = assemble_site(SiteSources(home.folder, proposal.source), SharedAgreement(proposal.source))
        if is_exact:
            training = site.split_indices(-1).training
            exposure = foreseen_exposure(site, site.terms)
        else:
            _ = site.terms
    except (InputError, Refusal) as error:
        yield ""
        yield from _unready(error, is_exact)
    else:
        yield from [""] if is_exact else []
    if privacy is None:
        yield from _without_privacy(proposal, None if training is None else len(training))
    if exposure is not None:
        yield f"THE SITE WILL REFUSE ({RefusalCode.DISCLOSURE_DIFFERS}): {exposure.sentence()}."


def _unready(error: InputError | Refusal, is_exact: bool) -> Iterator[str]:
    """Say why the site would refuse, which tells of its tables."""
    reason = refusal_text(error) if isinstance(error, Refusal) else str(error)
    if is_exact:
        yield f"Your tables could not be compared with what left this site before: {reason}"
    if isinstance(error, MachineError):
        return
    code = error.code if isinstance(error, Refusal) else RefusalCode.COHORT_INVALID
    yield (
        f"THE SITE WILL REFUSE ({code}), from which whoever runs the federation learns that your tables and policy do "
        f"not satisfy this file. Mend it before you approve: {reason}"
    )


def _without_privacy(proposal: Proposal, training: int | None) -> Iterator[str]:
    """Size of what remains where nothing bounds what weights tell."""
    federation = proposal.federation
    rounds, words = federation.training.rounds, family_of(federation).words(federation)
    numbers = sum(math.prod(shape) for shape in proposal.weights.values())
    whose = f"the records of {words.counted(training)}" if training is not None else f"your {words.plural}"
    yield "This federation has no differential privacy. What remains:"
    yield (
        f"  - each round's {numbers:,} numbers are computed from {whose} and leave exactly: whoever sees them can tell "
        f"whether a {words.singular} took part, and may read values of single {words.plural}; nothing bounds how much"
    )
    yield (
        f"  - a run is up to {rounds + 2:,} messages with {rounds * numbers:,} such numbers in all; [privacy] in the "
        "federation file would bound what they tell"
    )
    if training is not None:
        everyone = max(training, patients_in_all(federation))
        yield (
            f"  - a request's scaling may be up to {math.sqrt(everyone / training):.3g} times finer than your own "
            f"spread of a column, as {words.counted(everyone)} in all could make it: the finer, the more it singles out"
        )
