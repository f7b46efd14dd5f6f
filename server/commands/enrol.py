"""Enrolment of a hospital's key, and its end."""

import shlex
from datetime import UTC, datetime
from pathlib import Path

from common.agreed import one_spelling
from common.errors import InputError, OptionError, StateError
from common.node_keys import fingerprint, public_text
from server.home.places import CoordinatorHome, exclusive
from server.participants.enrolment import (
    Enrolled,
    Enrolment,
    Withdrawal,
    Withdrawn,
    read_enrolled,
    read_node_key,
    read_withdrawn,
    write_enrolled,
    write_withdrawn,
)
from server.services.door import open_to_enrolled
from server.services.superlink import known_keys, public_keys, register_node, require_running, unregister

_NEW_KEY = "ask the hospital for a new key"


def enrol_site(home: CoordinatorHome, site: str, public_key: Path) -> Enrolment:
    """Have a hospital's key accepted, for this name alone.

    The SuperLink learns of the key before `enrolled.json` does: a command that was cut short in between is repeated,
    and then finds the node that the SuperLink has given to the key.

    Raises:
        InputError: if the name has another key, the key another name, or the key was withdrawn, the file is no public
            key of the right kind, or the coordinator does not run.
    """
    site = one_spelling(site)
    if not (0 < len(site) <= 120 and site.isprintable()):
        raise OptionError("the site's name", "is no name", "use that of the federation file's participants")
    with exclusive(home):
        enrolled = read_enrolled(home.enrolled)
        key = read_node_key(public_key)
        print_ = fingerprint(key)
        _require_free(home, site, public_key, print_, enrolled, read_withdrawn(home.withdrawn))
        require_running(home)
        node = _node(home, public_key, print_)
        before = enrolled.get(site)
        since = datetime.now(UTC).isoformat(timespec="seconds") if before is None else before.since
        text = public_text(key).decode().strip()
        enrolment = Enrolment(fingerprint=print_, node_id=node, since=since, public_key=text)
        write_enrolled(home.enrolled, {**enrolled, site: enrolment})
        open_to_enrolled(home)
    return enrolment


def withdraw_site(home: CoordinatorHome, site: str) -> Withdrawal:
    """Have a hospital's key refused from now on, under this and every other name.

    The withdrawal is written down first: a command that was cut short is repeated, and ends what it began.

    Raises:
        InputError: if the hospital is not enrolled or the coordinator does not run.
    """
    site = one_spelling(site)
    with exclusive(home):
        enrolled, withdrawn = read_enrolled(home.enrolled), read_withdrawn(home.withdrawn)
        if site not in enrolled:
            raise _not_enrolled(home, site, withdrawn)
        require_running(home)
        enrolment = enrolled[site]
        begun = [earlier for earlier in withdrawn if earlier.fingerprint == enrolment.fingerprint]
        until = datetime.now(UTC).isoformat(timespec="seconds")
        ended = enrolment.model_dump(exclude={"public_key"})
        withdrawal = begun[0] if begun else Withdrawal(site=site, **ended, until=until)
        if not begun:
            write_withdrawn(home.withdrawn, (*withdrawn, withdrawal))
        open_to_enrolled(home)
        node = known_keys(home).get(enrolment.fingerprint)
        if node is not None and not node.unregistered:
            unregister(home, node.number)
        write_enrolled(home.enrolled, {name: kept for name, kept in enrolled.items() if name != site})
    return withdrawal


def keep_public_keys(home: CoordinatorHome) -> tuple[str, ...]:
    """Keep and let in the keys of hospitals that an earlier version enrolled without.

    Returns:
        The hospitals' names.

    Raises:
        InputError: if the SuperLink does not answer.
    """
    with exclusive(home):
        enrolled = read_enrolled(home.enrolled)
        if all(enrolment.public_key for enrolment in enrolled.values()):
            return ()
        keys = public_keys(home)
        kept = {
            site: enrolment.model_copy(update={"public_key": keys[enrolment.fingerprint]})
            for site, enrolment in enrolled.items()
            if not enrolment.public_key and enrolment.fingerprint in keys
        }
        write_enrolled(home.enrolled, {**enrolled, **kept})
        open_to_enrolled(home)
    return tuple(kept)


def _require_free(
    home: CoordinatorHome, site: str, public_key: Path, print_: str, enrolled: Enrolled, withdrawn: Withdrawn
) -> None:
    for withdrawal in withdrawn:
        if withdrawal.fingerprint == print_:
            what = f"is the key of {withdrawal.site} that was withdrawn at {withdrawal.until} for ever"
            raise StateError(str(public_key), what, _NEW_KEY)
    if site in enrolled and enrolled[site].fingerprint != print_:
        what = f"{site} is enrolled since {enrolled[site].since} with another key"
        withdraw = shlex.join(["consilium", "coordinator", "withdraw", str(home.folder), site])
        raise StateError(str(home.enrolled), what, f"if the hospital has a new key, first `{withdraw}`")
    for other, enrolment in enrolled.items():
        if other != site and enrolment.fingerprint == print_:
            raise StateError(
                str(public_key), f"is the key of {other}", "ask this hospital for a key of its own"
            )


def _node(home: CoordinatorHome, public_key: Path, print_: str) -> int:
    """The node of a key, which the SuperLink may know from an enrolment that was cut short."""
    node = known_keys(home).get(print_)
    if node is None:
        return register_node(home, public_key)
    if node.unregistered:
        raise StateError(
            str(public_key), "was unregistered at the SuperLink, which never accepts it again", _NEW_KEY
        )
    return node.number


def _not_enrolled(home: CoordinatorHome, site: str, withdrawn: Withdrawn) -> InputError:
    ended = [withdrawal.until for withdrawal in withdrawn if withdrawal.site == site]
    since = f" any more, since {ended[-1]}" if ended else ""
    names = f"`consilium coordinator status {shlex.quote(str(home.folder))}` names those who are"
    return StateError(str(home.enrolled), f"{site} is not enrolled{since}", names)
