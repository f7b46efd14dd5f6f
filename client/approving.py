"""`consilium site approve`: a federation file in words, and the hospital's own copy of it once it agrees."""

import math
import os
import shutil
import tempfile
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from client.cohort import parse_site_file
from client.home import APPROVAL_FILE, Approval, Home
from client.ledger_heads import sync_folder
from client.policy import Policy, Terms, agree
from client.spending import read_account
from common.accounting import Release, spend
from common.bundle import PACKAGE
from common.errors import InputError
from common.federation import FILE_NAME, Federation, PublicFile, Wire, load
from common.guarantee import check_agreement
from common.model import build_model
from common.schema import Modality

BEFORE = ".agreement-before"
"""Where the earlier copy is while a new one takes its place."""
SHOWN = 40
"""Columns of a modality that are named one by one."""
WIDTH = 100
"""Characters of a line that lists names."""


@dataclass(frozen=True)
class Proposal:
    """A federation file as this hospital would take part in it.

    Attributes:
        source: the folder it lies in.
        federation: the file.
        site: the hospital's name.
        policy: what the hospital allows.
        terms: what would hold.
        weights: parameter -> shape of the model.
        spent: everything this cohort ever released.
    """

    source: Path
    federation: Federation
    site: str
    policy: Policy
    terms: Terms
    weights: dict[str, tuple[int, ...]]
    spent: tuple[Release, ...]


def read_proposal(home: Home, source: Path) -> Proposal:
    """Read a federation file from a folder or by its own path.

    Raises:
        InputError: if it is not usable, asks for privacy with something that breaks it, or does not name this hospital.
        Refusal: if the hospital's policy forbids taking part.
    """
    folder = source if source.is_dir() else source.parent
    file = folder / FILE_NAME if source.is_dir() else source
    federation, site = load(file), parse_site_file(home.folder)
    if site.name not in {participant.name for participant in federation.participants}:
        raise InputError(
            str(file), f"does not name {site.name} among its participants", "ask the coordinator to add it"
        )
    if site.approved is not None and site.approved != federation.digest:
        raise InputError(
            f"{home.folder / 'site.toml'}, approved",
            "is the hash of another federation file",
            "change or remove it",
        )
    if federation.privacy is not None:
        check_agreement(federation)
    terms = agree(
        site.policy, federation, site.policy.minimum_cohort
    )  # the size is looked at by `site check`
    model = build_model(federation, folder, seed=0)
    weights = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    releases = tuple(release for run in read_account(home.folder).runs for release in run.releases)
    return Proposal(file, federation, site.name, site.policy, terms, weights, releases)


def approve(home: Home, proposal: Proposal) -> Approval:
    """Keep the hospital's own copy, never half of one.

    A process that is killed just between the two renames leaves the earlier copy under `BEFORE`: nothing is approved
    then, the site takes part in nothing, and approving again mends it.

    Raises:
        OSError: if it cannot be written; an earlier copy is then still there.
    """
    federation = proposal.federation
    approval = Approval(
        federation=federation.digest,
        version=version(PACKAGE),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        weights=proposal.weights,
    )
    target = home.agreement.parent
    home.residual.unlink(
        missing_ok=True
    )  # of updates under an earlier approval, perhaps of patients who have left
    new = Path(tempfile.mkdtemp(prefix=".agreement-", dir=home.folder))
    try:
        new.chmod(0o755)
        shutil.copyfile(proposal.source, new / FILE_NAME)
        for file in public_files(federation):
            (new / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(proposal.source.parent / file.path, new / file.path)
        (new / APPROVAL_FILE).write_text(approval.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if load(new / FILE_NAME).digest != federation.digest:
            raise InputError(str(proposal.source), "changed meanwhile", "approve it again")
        for path in [path for path in new.rglob("*") if path.is_file()]:
            _sync(path)
        for folder in [new, *(path for path in new.rglob("*") if path.is_dir())]:
            sync_folder(folder)
        old = home.folder / BEFORE
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
            target.replace(old)
        try:
            new.replace(target)
        except OSError:
            if old.exists():
                old.replace(target)
            raise
        sync_folder(home.folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return approval


def public_files(federation: Federation) -> Iterator[PublicFile]:
    """The public files that a federation file names."""
    prior = federation.prior
    yield from filter(None, (prior.edges, prior.pathways, prior.hierarchy))


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def in_words(proposal: Proposal) -> Iterator[str]:
    """What the hospital would agree to, a sentence a line."""
    federation, terms = proposal.federation, proposal.terms
    names = ", ".join(_shown(participant.name) for participant in federation.participants)
    yield f"Federation {federation.name}, hash {federation.digest}."
    yield f"Participants: {names}."
    yield ""
    yield "Computed here, from your tables, which stay where they are:"
    for modality in federation.modalities:
        yield f"  - {modality.name}: {len(modality.nodes)} values per patient ({modality.node})"
        yield from _columns(modality, proposal.source)
    yield f"  - a model for {', '.join(task.name for task in federation.tasks)}"
    for task in federation.tasks:
        yield from _listed(f"{task.name}, columns of outcomes", map(_shown, task.columns))
    yield f"  - {_rounds(proposal)}"
    yield ""
    yield "What leaves:"
    yield from (f"  - {sentence}" for sentence in _leaving(proposal))
    yield ""
    yield "What it costs:"
    yield from (f"  - {sentence}" for sentence in _costs(proposal))
    if stricter := list(_stricter(proposal)):
        yield ""
        yield "Your policy is stricter than the file, and holds:"
        yield from (f"  - {sentence}" for sentence in stricter)
    if terms.privacy is None:
        yield ""
        yield "This federation has no differential privacy: weights can tell of single patients."


def _columns(modality: Modality, file: Path) -> Iterator[str]:
    """The columns that are read: all of them, or the first and where the others are named."""
    levels = {column: f" ({len(names)} levels)" for column, names in modality.categories.items()}
    names = [_shown(name) + levels.get(name, "") for name in (*modality.columns, *modality.categories)]
    yield from _listed("columns", names[:SHOWN])
    if (more := len(names) - SHOWN) > 0:
        yield f"      and {more:,} more of {len(names):,}, all of them named in {file}"


def _listed(what: str, names: Iterable[str]) -> Iterator[str]:
    indent = " " * 6
    yield from textwrap.wrap(
        f"{what}: {', '.join(names)}",
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _shown(text: str) -> str:
    """A text of the file's as it cannot be taken for anything else: quoted and escaped where it is no plain name."""
    plain = text.isprintable() and text == text.strip() and not set(text) & set(",:;()'\"")
    return text if plain and text else repr(text)


def _rounds(proposal: Proposal) -> str:
    """How often it is trained: what app, gate and ledger hold it to."""
    rounds, terms = proposal.federation.training.rounds, proposal.terms
    if terms.privacy is None:
        return (
            f"trained in rounds 1 to {rounds} in each run; a coordinator can ask for a round again, and start more "
            "runs of this file, as long as this approval stands and the site is started"
        )
    if terms.limit.epsilon is None:
        return f"trained in {rounds} rounds at most, all runs of this file together"
    return (
        f"trained in rounds 1 to {rounds} in each run; a coordinator can start more runs of this file, as long as your "
        "policy's epsilon covers them"
    )


def _leaving(proposal: Proposal) -> Iterator[str]:
    privacy, least = proposal.terms.privacy, proposal.terms.minimum_count
    numbers = sum(math.prod(shape) for shape in proposal.weights.values())
    yield f"every round {_update(proposal.federation.wire)}, {len(proposal.weights)} arrays with {numbers:,} numbers"
    if privacy is None:
        yield f"counts and sums per column, the same whenever asked; none over fewer than {least} patients"
        yield f"every round numbers of patients, sums of losses over {least} or more, pairs with as many on either side"
        return
    yield "no number of patients, no loss, no metric"
    yield {
        "declared": "no statistics: scaling is declared in the file",
        "noised": "sums per column with noise, anew and at a price whenever asked",
        "public": f"exact sums per column over {least} or more patients, outside the guarantee",
    }[privacy.statistics]


def _update(wire: Wire) -> str:
    """What is sent of a trained model."""
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
        fits = "the run fits" if after <= most else "the run does NOT fit, and the site will decline it"
        yield f"your policy allows epsilon {most:g} in all: {fits}"


def _epsilon(epsilon: float, delta: float) -> str:
    return f"epsilon {epsilon:.3f} at delta {delta:g}" if math.isfinite(epsilon) else "no guarantee"


def _stricter(proposal: Proposal) -> Iterator[str]:
    asked_count, count = proposal.federation.statistics.minimum_count, proposal.terms.minimum_count
    if count > asked_count:
        yield f"minimum count {count} instead of {asked_count}"
    proposed, held = proposal.federation.privacy, proposal.terms.privacy
    if proposed is None or held is None:
        return
    for name in ("noise_multiplier", "statistics_noise_multiplier", "clip_norm"):
        asked, got = getattr(proposed, name), getattr(held, name)
        if asked != got:
            yield f"{name.replace('_', ' ')} {got:g} instead of {asked:g}"
