"""How a hospital's key comes to speak for it."""

from datetime import UTC, datetime
from pathlib import Path

from common.errors import InputError
from server.control import register, require_running
from server.enrolment import Enrolment, fingerprint, read_enrolled, write_enrolled
from server.home import Home


def enrol_site(home: Home, site: str, public_key: Path) -> Enrolment:
    """Have a hospital's key accepted, for this name alone.

    Raises:
        InputError: if the name or the key is enrolled, the file is no public key of the right kind, or the coordinator
            does not run.
    """
    if not (0 < len(site) <= 120 and site.isprintable() and site == site.strip()):
        raise InputError("the site's name", "is no name", "use that of the federation file's participants")
    enrolled = read_enrolled(home.enrolled)
    if site in enrolled:
        what = f"{site} is enrolled since {enrolled[site].since}"
        raise InputError(
            str(home.enrolled), what, "enrol another name, or this one in a new coordinator's folder"
        )
    print_ = fingerprint(public_key)
    for other, enrolment in enrolled.items():
        if enrolment.fingerprint == print_:
            raise InputError(
                str(public_key), f"is the key of {other}", "ask this hospital for a key of its own"
            )
    require_running(home)
    node = register(home, public_key)
    enrolment = Enrolment(
        fingerprint=print_, node_id=node, since=datetime.now(UTC).isoformat(timespec="seconds")
    )
    write_enrolled(home.enrolled, {**enrolled, site: enrolment})
    return enrolment
