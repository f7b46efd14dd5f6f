"""Keys that nginx lets in, and the signal by which it reads them again."""

import os
import signal

from common.files import write_whole
from common.processes.supervision_state import ServiceState, birth_of, read_state
from server.home.certificates import new_trust_list
from server.home.nginx import TRUSTED
from server.home.places import CoordinatorHome
from server.participants.enrolment import in_force, read_enrolled, read_withdrawn, trusted_keys

PROXY = "proxy"


def write_trusted(home: CoordinatorHome) -> None:
    """Write the certificates of the keys that are enrolled and not withdrawn, for nginx to read.

    Raises:
        InputError: if a file of enrolments is missing or damaged.
    """
    enrolled = in_force(read_enrolled(home.enrolled), read_withdrawn(home.withdrawn))
    write_whole(home.proxy / TRUSTED, new_trust_list(trusted_keys(enrolled)))


def open_to_enrolled(home: CoordinatorHome) -> None:
    """Have nginx let in those who are enrolled now, and nobody else.

    A stopped nginx reads them when it starts.

    Raises:
        InputError: if a file of enrolments is missing or damaged.
    """
    write_trusted(home)
    state = read_state(home.services)
    if state is not None and PROXY in state.services:
        signal_service(state.services[PROXY], signal.SIGHUP)


def signal_service(service: ServiceState, number: int) -> None:
    """Signal a service's process, and no other that has the number of the process by now.

    A service that is being restarted needs no signal.
    """
    if service.pid is None:
        return
    try:
        process = os.pidfd_open(service.pid)
    except ProcessLookupError:
        return
    try:
        if birth_of(service.pid) == service.birth:
            signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        return
    finally:
        os.close(process)
