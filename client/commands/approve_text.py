"""Terms of a federation file in words, as `consilium site approve` prints them."""

import math
from collections.abc import Iterator
from importlib.metadata import version

from client.commands.approve import Proposal
from client.disclosures.losses import bits_per_answer
from client.families.registry import reader_of
from client.families.wording import shown
from client.site_folder.policy import USUAL_COUNT
from common.agreement.bundle import PACKAGE
from common.agreement.reach import largest_hospital, round_reach, widest_round
from common.agreement.settings import Wire
from common.assessment.part import parts_of
from common.counting import counted
from common.families.family import Words
from common.families.registry import family_of
from common.installed_code import code_hash
from common.privacy.accounting import spend
from common.word_code import word_code


def in_words(proposal: Proposal) -> Iterator[str]:
    """Write the terms that the hospital would agree to, a sentence per line."""
    federation = proposal.federation
    names = ", ".join(shown(participant.name) for participant in federation.participants)
    yield f"Federation {federation.name}, hash {federation.digest} ({word_code(federation.digest)})."
    yield f"Participants: {names}."
    yield _size(proposal)
    yield ""
    yield "Computed here, from your tables, which stay where they are:"
    yield from reader_of(federation).said(federation, proposal.source)
    yield f"  - {_rounds(proposal)}"
    yield f"  - {_room(proposal)}"
    yield f"  - by consilium {version(PACKAGE)} as it is installed now, files with SHA-256 {code_hash()}"
    yield ""
    if federation.plugins:
        yield "Code from outside, which runs here as you have installed it; review it as you review consilium:"
        for plugin in federation.plugins:
            yield f"  - {plugin.package} {plugin.version}, files with SHA-256 {plugin.sha256}"
        yield ""
    yield "What leaves:"
    yield from (f"  - {sentence}" for sentence in _leaving(proposal))
    yield ""
    yield f"What it costs, per {_words(proposal).singular}:"
    yield from (f"  - {sentence}" for sentence in _costs(proposal))
    if stricter := list(_stricter(proposal)):
        yield ""
        yield "Your policy is stricter than the file, and holds:"
        yield from (f"  - {sentence}" for sentence in stricter)


def _size(proposal: Proposal) -> str:
    """Sentence on the declared size, and on the weight in averages that follows from it."""
    declared = proposal.federation.declared_patients
    if declared is None:
        return "It declares no sizes: every hospital weighs alike in averages."
    most = _words(proposal).counted(declared[proposal.site])
    alike = "; every hospital weighs alike in averages" if proposal.terms.privacy is not None else ""
    return f"It declares at most {most} of yours, and tables with more are refused{alike}."


def _rounds(proposal: Proposal) -> str:
    """Lines on the numbers of runs and rounds that app, gate and ledger allow."""
    rounds, runs = proposal.federation.training.rounds, proposal.policy.maximum_runs
    return (
        f"trained in rounds 1 to {rounds}, each asked once, in {counted(runs, 'run')} of this file "
        "(policy.maximum_runs); approving it again allows as many once more"
    )


def _room(proposal: Proposal) -> str:
    """Lines on the weights that a request may bring, and on the settings that bound them."""
    federation, privacy = proposal.federation, proposal.terms.privacy
    training = federation.training
    if privacy is not None:
        steps = "one private step" if privacy.steps == 1 else f"{privacy.steps} private steps"
        return (
            f"in {steps} a round of rate {privacy.learning_rate:g}, on sums clipped at {privacy.clip_norm:g} and "
            f"divided by {privacy.expected_batch_size:g}; what a request's weights make of them costs no more epsilon"
        )
    most = _words(proposal).counted(largest_hospital(federation))
    sized = (
        "as the file declares" if federation.declared_patients else "as is taken where no sizes are declared"
    )
    epochs = counted(training.local_epochs, "epoch")
    once, whole = (
        widest_round(federation),
        sum(round_reach(federation, n + 1) for n in range(training.rounds)),
    )
    return (
        f"on weights that a request brings: a round moves a weight of size 1 by at most {once:.2g} "
        f"(policy.maximum_reach = {proposal.policy.maximum_reach:g}) and a run by {whole:.2g}, and what lies further "
        f"is refused; that follows from hospitals of up to {most}, {sized}, {epochs}, "
        f"batches of {training.batch_size}, "
        f"learning rate {training.learning_rate:g} and weight decay {training.weight_decay:g}"
    )


def _words(proposal: Proposal) -> Words:
    return family_of(proposal.federation).words(proposal.federation)


def _leaving(proposal: Proposal) -> Iterator[str]:
    terms, singular, units = proposal.terms, _words(proposal).singular, _words(proposal).plural
    privacy, least = terms.privacy, terms.minimum_count
    yield (
        "for a request that is refused, which check it failed: a bit of what was asked, and of your tables where they "
        f"do not satisfy the file; so for {proposal.policy.maximum_refusals} requests of all runs together "
        "(policy.maximum_refusals), then one code for whatever is asked, until you approve again"
    )
    yield from _few_behind(proposal) if privacy is None or privacy.statistics == "public" else ()
    numbers = sum(math.prod(shape) for shape in proposal.weights.values())
    arrays = f"{counted(len(proposal.weights), 'array')} with {counted(numbers, 'number')}"
    yield f"every round {_update(proposal.federation.wire)}, {arrays}"
    if rounds := proposal.federation.linear_rounds:
        yield (
            f"in the first {counted(rounds, 'round')} the mean gradient of the linear scores over your {units}, exact: "
            f"sums of their values, weighted by how wrong the scores are about each"
        )
    if privacy is None:
        yield f"counts and sums per column, the same whenever asked; {_behind_sums(least, units)}"
        yield f"every round numbers of {units}"
        yield (
            f"every round rounded sums of losses and of pairs over {least} {units} or more, "
            f"with noise of {terms.loss_noise:g} times what one {singular} adds at most: {_bits(proposal)}"
        )
        yield from _assessment(proposal)
        return
    yield f"no number of {units}, no loss, no metric"
    if privacy.explanations_noise_multiplier is not None:
        yield (
            "once, at the end of a run, sums of contributions to the model's answers by modality and pathway over all "
            f"your {units}, to which noise is added, at a price (policy.assessment = false declines them)"
        )
    yield {
        "declared": "before the first round a statistics message that holds nothing of your tables, because scaling is "
        "declared in the file",
        "noised": "before the first round, once in each run, a statistics message with sums per column to which noise "
        "is added, at a price",
        "public": "before the first round a statistics message with exact sums per column, outside the guarantee; "
        f"{_behind_sums(least, units)}",
    }[privacy.statistics]


def _assessment(proposal: Proposal) -> Iterator[str]:
    """Say which sums about the trained model leave at the end of a run."""
    parts = ", ".join(part.name for part in parts_of(proposal.federation))
    if not parts:
        return
    if not proposal.policy.assessment:
        yield "no sum about the trained model (policy.assessment = false)"
        return
    words = _words(proposal)
    yield (
        f"once, at the end of a run, exact sums about the trained model over {proposal.terms.minimum_count} "
        f"{words.plural} or more ({parts}), of weights that a round of the run has brought before "
        "(policy.assessment = false declines them)"
    )


def _behind_sums(least: int, units: str) -> str:
    """Part of a sentence on the columns of which no sums leave."""
    return (
        f"none of a column in which fewer than {least} {units} differ from the commonest value, or in which one or two "
        "make up nearly all of the spread"
    )


def _few_behind(proposal: Proposal) -> Iterator[str]:
    """Warn of a small minimum count, which the file proposes and the policy allows."""
    least = proposal.terms.minimum_count
    if least < USUAL_COUNT:
        units = _words(proposal).counted(least)
        yield (
            f"WARNING: exact numbers about {units} may leave, because the file's statistics.minimum_count and your "
            f"policy.minimum_count are below {USUAL_COUNT}; take policy.minimum_count out of site.toml to have "
            f"{USUAL_COUNT}"
        )


def _bits(proposal: Proposal) -> str:
    """Size of what all losses of a run tell about one patient, to somebody who knows all others."""
    federation = proposal.federation
    scores = family_of(federation).scores(federation)
    bits = bits_per_answer(proposal.terms.loss_noise, len(scores))
    if math.isinf(bits):
        return "EXACT SUMS"
    run = (federation.training.rounds + 1) * bits
    return f"at most {bits:.3f} bits about one of them in an answer, {run:.1f} bits in a run"


def _update(wire: Wire) -> str:
    """Lines on the part of a trained model that is sent."""
    if wire.update == "float32":
        return "the model's weights"
    how = {"float16": "in half precision", "int8": "in integers of 8 bits"}.get(wire.update)
    if wire.share is not None:
        how = f"the largest {wire.share:.3g} of its numbers"
    return f"the change of the model's weights, {how} (the rest is kept here and added to the next round's)"


def _costs(proposal: Proposal) -> Iterator[str]:
    terms, delta = proposal.terms, proposal.terms.limit.delta
    before = spend(proposal.spent, delta).epsilon
    run = terms.whole_run(proposal.federation.training.rounds)
    alone, after = spend(run, delta).epsilon, spend([*proposal.spent, *run], delta).epsilon
    yield f"this run alone: {_epsilon(alone, delta)}"
    if proposal.spent:
        yield f"this cohort so far: {_epsilon(before, delta)}; with this run: {_epsilon(after, delta)}"
    if (most := terms.limit.epsilon) is not None:
        fits = (
            "the run fits"
            if after <= most
            else f"the run does NOT fit, and the site will decline it; {_cover(after)}"
        )
        yield f"your policy allows epsilon {most:g} in all: {fits}"


def _cover(epsilon: float) -> str:
    """Say what limit would cover a cost."""
    if not math.isfinite(epsilon):
        return "no maximum_epsilon covers a cohort that has trained without privacy"
    return (
        f"`maximum_epsilon = {math.ceil(epsilon * 100) / 100:g}` under [policy] in site.toml would cover it"
    )


def _epsilon(epsilon: float, delta: float) -> str:
    return f"epsilon {epsilon:.3f} at delta {delta:g}" if math.isfinite(epsilon) else "no guarantee"


def _stricter(proposal: Proposal) -> Iterator[str]:
    asked_count, count = proposal.federation.statistics.minimum_count, proposal.terms.minimum_count
    if count > asked_count:
        yield f"minimum count {count} instead of {asked_count}"
    proposed, held = proposal.federation.privacy, proposal.terms.privacy
    if proposed is None or held is None:
        return
    for name in (
        "noise_multiplier",
        "statistics_noise_multiplier",
        "explanations_noise_multiplier",
        "clip_norm",
    ):
        asked, got = getattr(proposed, name), getattr(held, name)
        if asked != got and got is not None:
            yield f"{name.replace('_', ' ')} {got:g} instead of {asked:g}"
