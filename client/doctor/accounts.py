"""Check of the accounts under which gate and training run."""

import os
import shlex
from collections.abc import Iterator

from client.doctor.finding import Finding, FindingCode, fail, ok, warn
from client.runtime.app_link import connect_to_app
from client.site_folder.accounts import closed_or_open
from client.site_folder.places import Home, read_connection


def accounts(home: Home) -> Iterator[Finding]:
    """Check whether gate and training run under two accounts, and what the second one can read."""
    socket = read_connection(home).app_socket
    separate = shlex.join(
        ["consilium", "site", "separate", str(home.folder), "--socket", str(socket or "PATH")]
    )
    if socket is None:
        message = "gate and training run under one account, and a fault in training could read the node key"
        yield warn("accounts", FindingCode.ONE_ACCOUNT, message, f"{separate}, and a service of `site app`")
        return
    if wrong := closed_or_open(home):
        message = (
            f"closed to the app's account or open to it, and should not be: {', '.join(map(str, wrong))}"
        )
        yield fail("accounts", FindingCode.ACCESS_WRONG, message, separate)
    gate = home.key.parent.stat().st_uid
    try:
        connection, app = connect_to_app(socket)
    except OSError as error:
        message = f"the app does not answer at {socket} ({error.strerror or type(error).__name__})"
        start = shlex.join(["consilium", "site", "app", str(home.folder), "--socket", str(socket)])
        remedy = f"start `{start}` under its account"
        yield fail("accounts", FindingCode.APP_SILENT, message, remedy)
        return
    connection.close()
    if app in (gate, os.geteuid(), 0):
        message = f"gate and training run under one account, or training as root (uid {app})"
        yield warn(
            "accounts",
            FindingCode.ONE_ACCOUNT,
            message,
            "start `site app` under another account of the folder's group",
        )
    elif not wrong:
        message = (
            f"gate (uid {gate}) and training (uid {app}) run under two, and training cannot read the node key"
        )
        yield ok("accounts", message)
