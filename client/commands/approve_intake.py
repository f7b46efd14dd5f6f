"""Rules of intake in words, as `consilium site approve` prints them."""

from collections.abc import Iterator

import tomli_w

from client.site_folder.approved_intake import intake_digest
from client.site_folder.places import Home, read_approval
from client.site_folder.site_file import SITE_FILE, parse_site_file
from common.errors import InputError, escaped


def intake_in_words(home: Home) -> Iterator[str]:
    """Write the rules by which tables are read, and whether they were approved before.

    Raises:
        InputError: if `site.toml`, or a file that a rule names, cannot be read.
    """
    rules, digest = parse_site_file(home.folder).intake, intake_digest(home.folder)
    try:
        before: str | None = read_approval(home).intake
    except InputError:  # nothing was approved yet
        before = None
    if not digest and not before:
        return
    yield ""
    if not digest:
        yield f"{SITE_FILE} declares no rules of intake any more; your tables are read as they are."
    else:
        yield f"Your tables are read by the rules of intake in {SITE_FILE}, SHA-256 {digest}:"
        declared = {"intake": rules.model_dump(mode="json", exclude_defaults=True)}
        yield from (f"  {escaped(line)}" for line in tomli_w.dumps(declared).splitlines() if line)
    if before is not None and before != digest:
        yield "These rules are NOT those that you approved before. `consilium site intake` shows what they change."
