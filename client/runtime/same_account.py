"""Requirement that a site starts as it was approved: by the same user, with the same state.

The ledger's end lies in the state folder, to which an approval adds. A site that starts with another one, or as a user
who cannot read what was written, would refuse every request by a code.
"""

import os

from client.ledger.account import read_entries
from client.site_folder.outside import STATE_VARIABLE, state_folder, user_name
from client.site_folder.places import Approval, Home, read_approval
from common.errors import InputError, Refusal, RefusalCode, StateError


def require_same_account(home: Home) -> None:
    """Require that user and state folder are those of the approval, as far as they matter.

    Raises:
        InputError: if the ledger of the approval cannot be used by this user, or is not confirmed in this state folder;
            and if nothing was approved.
    """
    approval: Approval | None = None
    try:
        approval = read_approval(home)
        if (home.folder / "ledger").exists():
            read_entries(home.folder)
        os.stat(home.key)
        readable = os.access(home.key, os.R_OK) and os.access(home.folder, os.W_OK | os.X_OK)
    except PermissionError:
        readable = False
    except Refusal as refusal:
        if refusal.code != RefusalCode.LEDGER_UNCONFIRMED:
            return  # the ledger itself is amiss, which `site doctor` and every refusal say
        readable = False
    except InputError:
        if approval is None:
            raise
        readable = False
    if readable:
        return
    owner = approval.user if approval is not None and approval.user else _owner(home)
    before = f" with {STATE_VARIABLE}={approval.state}" if approval is not None and approval.state else ""
    what = (
        f"belongs to an approval by user {owner}{before}, and this command runs as user {user_name(os.geteuid())} "
        f"with {STATE_VARIABLE}={state_folder()}"
    )
    remedy = f"run `site approve` and `site start` as the same user with the same {STATE_VARIABLE}"
    raise StateError(str(home.folder), what, remedy)


def _owner(home: Home) -> str:
    """Name of the site folder's owner, where the approval itself cannot be read."""
    try:
        return user_name(home.folder.stat().st_uid)
    except PermissionError:
        return "who owns it"
