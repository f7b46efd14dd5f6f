"""Command `consilium site adopt`: a release of the model, verified, explained and kept."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from client.chained_log.lock import exclusive
from client.prediction.predictor import Performance, predictor_of, require_usable
from client.site_folder.outside import user_name
from client.site_folder.places import Home
from client.site_folder.releases import (
    RECORD,
    Adopted,
    Adoptions,
    file_of,
    open_record,
    open_release,
    read_adoptions,
)
from client.validation.judged import judged_records
from common.errors import InputError, IntegrityError, StateError
from common.files import write_whole
from common.prediction.network import Network, released_network
from common.release.manifest import number_of
from common.release.release import AGAIN, ModelRelease
from common.validation.sums.table import validation_lines

OLDER = "go back to a release that was adopted before by `consilium site adopt SITE --back`"


@dataclass(frozen=True)
class Adoption:
    """Release that a hospital is asked to adopt.

    Attributes:
        release: the release, verified.
        network: its network, which this version of consilium can compute.
        earlier: what was adopted before.
        is_new: whether this hospital has not adopted it before.
    """

    release: ModelRelease
    network: Network
    earlier: Adoptions
    is_new: bool


def read_adoption(home: Home, file: Path) -> Adoption:
    """Read a release that may be adopted.

    Raises:
        InputError: if it is not signed by this coordinator, was changed, is of another federation file, older than
            one that was adopted, in use, revoked, of another version of consilium's network, or with members of other
            outcomes.
    """
    release, earlier = open_release(home, file), read_adoptions(home)
    version, newest = release.version, earlier.newest(release.manifest.name)
    record = earlier.find(version)
    if record is not None and record.sha256 != release.manifest.sha256:
        what = f"is another {version} than the one that was adopted here"
        raise IntegrityError(
            str(file), what, "ask the coordinator why there are two, and adopt neither until then"
        )
    if version in earlier.revoked:
        raise StateError(str(file), f"is {version}, which the coordinator has revoked", "get a later one")
    if newest is not None and number_of(version) < number_of(newest):
        raise StateError(str(file), f"is {version}, which is older than {newest} that was adopted", OLDER)
    if record is not None and version == earlier.current and _is_sound(home, earlier, record):
        raise StateError(str(file), f"is {version}, which is in use already", "predict with it")
    parent = release.manifest.parent
    before = None if parent is None else earlier.find(parent.version)
    if parent is not None and before is not None and before.sha256 != parent.sha256:
        what = f"follows another {parent.version} than the one that was adopted here"
        raise IntegrityError(str(file), what, AGAIN)
    network = released_network(release)
    require_usable(network, release.where)
    return Adoption(release, network, earlier, record is None)


def _is_sound(home: Home, earlier: Adoptions, record: Adopted) -> bool:
    """Whether the kept file of a release can be used.

    It cannot if it is damaged, or the coordinator has another key now.
    """
    try:
        open_record(home, earlier, record)
    except InputError:
        return False
    return True


def read_return(home: Home) -> Adoption:
    """Read the release that was in use before the present one.

    Raises:
        InputError: if there is none, or its file is not as it was adopted.
    """
    earlier = read_adoptions(home)
    record = earlier.before_current()
    if record is None:
        what = "has no earlier release to go back to"
        raise StateError(str(home.releases), what, "adopt one by `consilium site adopt SITE FILE`")
    release = open_record(home, earlier, record)
    return Adoption(release, released_network(release), earlier, is_new=False)


def adopt(home: Home, adoption: Adoption) -> Adoptions:
    """Keep a release and take it into use; every earlier one stays.

    Raises:
        StateError: if another command changed the record since it was read, as while a person was asked.
        OSError: if it cannot be written; the earlier release is then still in use.
    """
    with exclusive(home.releases / RECORD):
        if read_adoptions(home) != adoption.earlier:
            what = "were changed by another command in the meantime"
            raise StateError(str(home.releases), what, "adopt the release again")
        return _taken(home, adoption)


def _taken(home: Home, adoption: Adoption) -> Adoptions:
    release, earlier = adoption.release, adoption.earlier
    adopted = earlier.adopted
    write_whole(file_of(home, release.version), release.content)
    if adoption.is_new:
        adopted += (
            Adopted(
                version=release.version,
                sha256=release.manifest.sha256,
                at=datetime.now(UTC).isoformat(timespec="seconds"),
                user=user_name(os.geteuid()),
            ),
        )
    revoked = tuple(dict.fromkeys([*earlier.revoked, *release.manifest.revoked]))
    changed = Adoptions(adopted=adopted, current=release.version, revoked=revoked)
    changed.write(home)
    return changed


def adoption_lines(home: Home, adoption: Adoption) -> Iterator[str]:
    """Say what a release is, and how it does at this hospital."""
    release = adoption.release
    yield from release.lines()
    yield from validation_lines(release.members, release.where)
    current = adoption.earlier.current
    yield f"In use here now: {current or 'none'}."
    yield ""
    yield from performance_lines(home, adoption)


def performance_lines(home: Home, adoption: Adoption) -> Iterator[str]:
    """Say how a release does on patients of this hospital that did not train it."""
    try:
        whose, performances = performance(home, adoption)
    except InputError as error:
        yield f"How it does at this hospital cannot be said: {error}"
        return
    yield f"At this hospital, on {whose}:"
    for task in performances:
        counts = ", ".join(f"{what}: {count:,}" for what, count in task.counts.items())
        figure = "too few to judge" if task.value is None else f"{task.metric} {task.value:.2f}"
        yield f"  {task.task}: {figure} ({counts})"


def performance(home: Home, adoption: Adoption) -> tuple[str, list[Performance]]:
    """Judge a release by one figure a task, on this hospital's records that did not train it.

    Returns:
        Words for the records, and the figures by task.

    Raises:
        InputError: if the tables cannot be read, or all records trained the model.
    """
    judged = judged_records(home, adoption.release, adoption.network)
    predictor = predictor_of(adoption.release.agreement)
    return judged.whose, predictor.performance(judged.network, judged.records)
