"""Command `consilium coordinator release`: a finished run's model as one signed file."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from common.agreement.agreement import FILE_NAME, Agreement
from common.agreement.loading import load_agreement
from common.errors import IntegrityError, InvalidContentError, OptionError, StateError
from common.families.registry import family_of
from common.files import write_whole
from common.lifetime.named_output import require_output
from common.messages.validation import VALIDATION_PATIENTS, comparable, noise_of_ratio, pairs_scale
from common.models.parameter_groups import ParameterGroup
from common.prediction.network import network_of
from common.release.archive import ArchiveError
from common.release.card import Card, CardTask
from common.release.manifest import Manifest, Parent
from common.release.members import CARD, EXPLANATIONS, ONNX, PREPROCESSING, WEIGHTS, arrays_of_member
from common.release.release import agreement_members, signed_release
from server.commands.ensemble import EnsembleMember, closing_record, read_members
from server.home.certificates import read_signer
from server.home.places import CoordinatorHome, exclusive
from server.records.assessment import assessed_members
from server.records.journal import FILE_NAME as JOURNAL
from server.records.journal import JournalRecord, RoundRecord, RunRecord, read_journal
from server.records.releases import Released, Releases, read_releases
from server.records.result import load_result
from server.records.submission import named_folder

_AGAIN = "release another run"


def release(
    home: CoordinatorHome, run: str, out: Path, onnx: bool = False, others: Sequence[str] = ()
) -> Manifest:
    """Release the model of a finished run, or of several as an ensemble.

    The same run has the same version, and gives the same bytes.

    Args:
        home: the coordinator's folder.
        run: name of the run's folder.
        out: file to write.
        onnx: add an ONNX twin.
        others: names of the runs of an ensemble's other members, in any order.

    Raises:
        InputError: if a run has no model, was changed since it was released, or its release was revoked; or the
            model has no ONNX twin; or the runs make no ensemble; or `out` would replace a file of the coordinator's
            folder.
        OSError: if the file cannot be written.
    """
    require_output(out, [home.folder])
    folder = named_folder(home.runs, run)
    agreement = load_agreement(folder / FILE_NAME)
    records = read_journal(folder) if (folder / JOURNAL).is_file() else []
    ensemble = read_members(home, folder, agreement, others, onnx)
    names = tuple(member.card.run for member in ensemble)
    released = read_releases(home.releases).of_run(folder.name)
    if released is not None and (released.onnx, released.others) != (onnx, names):
        options = ["--onnx"] * released.onnx + [f"--with {name}" for name in released.others]
        remedy = (
            f"release it again {f'with {shlex.join(options)}' if options else 'without --onnx and --with'}"
        )
        raise StateError(str(folder), f"was released as {released.version} otherwise", remedy)
    members = _members(folder, agreement, closing_record(folder, records, agreement), records, onnx, ensemble)
    signer = read_signer(home.authority_key)
    with exclusive(home):
        releases = read_releases(home.releases)
        earlier = releases.of_run(folder.name)
        version, parent, revoked = _numbered(releases, earlier, agreement.name)
        if version in releases.revoked:
            raise StateError(str(folder), f"was released as {version}, which was revoked", _AGAIN)
        try:
            manifest, content = signed_release(
                version, parent, agreement, folder.name, revoked, members, signer
            )
        except ArchiveError as error:
            remedy = "rename or shrink the public files of the federation file"
            raise InvalidContentError(str(folder), f"its release {error}", remedy) from None
        if earlier is None:
            made = Released(
                version=version,
                run=folder.name,
                sha256=manifest.sha256,
                parent=parent,
                revoked=revoked,
                onnx=onnx,
                others=names,
            )
            changed = releases.model_copy(update={"released": (*releases.released, made)})
            changed.write(home.releases)
        elif earlier.sha256 != manifest.sha256:
            what = f"gives another file than when it was released as {version}"
            remedy = "put its files, or the versions of consilium and torch of that time, back"
            raise IntegrityError(str(folder), what, f"{remedy}; or release another run")
        write_whole(out, content)
    return manifest


def revoke(home: CoordinatorHome, version: str) -> Releases:
    """Revoke a release: later ones name it, and who adopts one stops predicting with it.

    Raises:
        InputError: if there is no such release.
    """
    with exclusive(home):
        releases = read_releases(home.releases)
        versions = [release.version for release in releases.released]
        if version not in versions:
            remedy = f"the last ones are {', '.join(versions[-3:]) or 'none'}"
            raise OptionError(str(home.releases), f"there is no release {version}", remedy)
        revoked = tuple(dict.fromkeys([*releases.revoked, version]))
        changed = releases.model_copy(update={"revoked": revoked})
        changed.write(home.releases)
    return changed


def _numbered(
    releases: Releases, earlier: Released | None, name: str
) -> tuple[str, Parent | None, tuple[str, ...]]:
    """Return version, parent and revoked versions: those of the run's release, or the next."""
    if earlier is not None:
        return earlier.version, earlier.parent, earlier.revoked
    last = releases.last(name)
    if last is None:
        return f"{name}-1", None, releases.revoked
    number = int(last.version.rpartition("-")[2]) + 1
    return f"{name}-{number}", Parent(version=last.version, sha256=last.sha256), releases.revoked


def _members(
    folder: Path,
    agreement: Agreement,
    closing: RunRecord,
    records: list[JournalRecord],
    onnx: bool,
    ensemble: Sequence[EnsembleMember],
) -> dict[str, bytes]:
    result = load_result(folder)
    remedy = "put it back from a backup, or install the version of consilium that trained it"
    network = network_of(agreement, folder, result.weights, result.preprocessing, f"{folder}/", remedy)
    rounds = [record for record in records if isinstance(record, RoundRecord)]
    card = _card(agreement, folder.name, closing, rounds)
    card = card.model_copy(update={"others": tuple(member.card for member in ensemble)})
    members = {
        **agreement_members(agreement, folder),
        WEIGHTS: (folder / WEIGHTS).read_bytes(),
        PREPROCESSING: (folder / PREPROCESSING).read_bytes(),
        CARD: card.content(),
    }
    for number, member in enumerate(ensemble, 2):
        members |= zip(arrays_of_member(number), member.arrays, strict=True)
    members |= assessed_members(folder, agreement, result.weights, is_alone=not ensemble)
    if EXPLANATIONS in members:
        from common.explanation.cohort_sums import named

        members[EXPLANATIONS] = named(members[EXPLANATIONS], network)
    if onnx:
        from common.export.onnx_twin import onnx_content

        members[ONNX] = onnx_content(network)
    return members


def _card(agreement: Agreement, run: str, closing: RunRecord, rounds: list[RoundRecord]) -> Card:
    family, kept = family_of(agreement), closing.best_round
    trained = next((record for record in rounds if record.kind == "train" and record.round == kept), None)
    judged = next((record for record in rounds if kept is not None and record.round == kept + 1), None)
    shared = ParameterGroup.SHARED.name
    records = [site.patients.get(shared) for site in trained.sites.values()] if trained else []
    numbers = [number for number in records if number is not None]
    tables = {
        name: columns for name, columns in agreement.tables.items() if name not in agreement.required_tables
    }
    return Card(
        federation=agreement.name,
        run=run,
        ended=closing.at,
        hospitals=tuple(sorted(closing.sites)),
        records=None if closing.private or not numbers else round(sum(numbers)),
        unit=family.words(agreement).plural,
        rounds=closing.rounds,
        kept_round=kept,
        validation_loss=closing.best_loss,
        private=agreement.privacy is not None,
        inputs={name: len(columns) for name, columns in tables.items()},
        tasks=tuple(
            CardTask(name=name) if judged is None else _card_task(name, judged, agreement)
            for name in agreement.task_names
        ),
        validated=None if closing.private or judged is None else _validated(judged),
        validation_noise=None if judged is None else judged.validation_noise,
        software=closing.software,
    )


def _card_task(name: str, judged: RoundRecord, agreement: Agreement) -> CardTask:
    """Describe how the kept weights did in a task, by the pairs that hospitals told."""
    counts = {site: record.metrics.get(comparable(name), 0.0) for site, record in judged.sites.items()}
    pairs = {site: number for site, number in counts.items() if number > 0}
    concordance = judged.concordance.get(name)
    scores = family_of(agreement).scores(agreement)
    score = next((score for score in scores if score.name == name), None)
    noise = None
    if concordance is not None and pairs and score is not None:
        patients = [int(judged.sites[site].metrics.get(VALIDATION_PATIENTS, 0.0)) for site in pairs]
        scale = agreement.statistics.loss_noise
        deviations = [scale * pairs_scale(score.of_one(number), len(scores)) for number in patients]
        noise = noise_of_ratio(concordance, sum(pairs.values()), deviations)
    return CardTask(name=name, concordance=concordance, pairs=round(sum(pairs.values())), noise=noise)


def _validated(judged: RoundRecord) -> int | None:
    """Add up the validation records that hospitals told; None where nobody did."""
    metrics = [site.metrics for site in judged.sites.values()]
    numbers = [numbers[VALIDATION_PATIENTS] for numbers in metrics if VALIDATION_PATIENTS in numbers]
    return round(sum(numbers)) if numbers else None
