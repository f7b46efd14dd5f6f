"""A hospital's receipts as a page that needs nothing from elsewhere, as JSON, and as lines for a terminal."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from client.receipts.receipt import Receipt, Verified
from client.receipts.verification import verify_at_site
from client.site_folder.keys import fingerprint, read_public_key
from client.site_folder.places import Home
from client.site_folder.site_file import parse_site_file

KINDS = {
    "StatisticsReply": "sums over training patients",
    "TrainReply": "model weights after training",
    "UpdateReply": "change of the model weights by training, compressed",
    "EvaluateReply": "how the model did, summed",
    "RefusalReply": "a refusal code",
    "Error": "a fixed sentence",
}


VERDICTS = {
    "passed": "passed the gate",
    "refused": "were refusals",
    "failed": "were failures",
    "blocked": "were held back",
}


NOT_WITNESSED = "They are not witnessed outside the folder: an older copy would look the same."


def read_receipts(home: Home) -> Verified:
    """The site's receipts, verified with its own public key; none before the first message.

    Raises:
        InputError: if they are not as they were written, or behind what is known outside the site folder.
    """
    return verify_at_site(home.receipts, read_public_key(home.public_key))


def page(home: Home, found: Verified) -> str:
    """One HTML page, without scripts and without anything from another place."""
    templates = Environment(
        loader=PackageLoader("client.receipts"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return templates.get_template("receipts.html.j2").render(
        site=parse_site_file(home.folder).name,
        receipts=found.receipts,
        kinds=KINDS,
        verdicts=VERDICTS,
        counts=Counter(one.verdict for one in found.receipts),
        total=sum(one.size_bytes for one in found.receipts),
        fingerprint=fingerprint(read_public_key(home.public_key)),
        state=verdict(found),
    )


def verdict(found: Verified) -> str:
    """What verification found, in a sentence."""
    count = f"{len(found.receipts)} receipt{'' if len(found.receipts) == 1 else 's'}"
    if not found.receipts:
        return f"{count}, and none is known outside the folder."
    sentences = [f"{count}: chain, signatures and end are whole."]
    if found.outside is None:
        sentences.append(NOT_WITNESSED)
    elif found.outside < len(found.receipts):
        last = len(found.receipts) - found.outside
        sentences.append(f"The last {last} are not yet counted outside the folder.")
    if found.unwitnessed:
        last = found.unwitnessed
        sentences.append(f"The last {last} came before a crash and are not yet counted in the head file.")
    return " ".join(sentences)


def as_data(found: Verified) -> list[dict[str, Any]]:
    """The receipts as plain data."""
    return [one.model_dump(mode="json") for one in found.receipts]


def as_lines(receipts: Sequence[Receipt]) -> list[str]:
    """A line per receipt."""
    return [_line(one) for one in receipts]


def _line(one: Receipt) -> str:
    parts = [f"{one.number:>5}", one.at[:19], one.verdict, one.message]
    parts += [] if one.round is None else [f"round {one.round}"]
    parts += [one.reason] if one.reason else []
    parts.append(f"{one.size_bytes:,} bytes")
    if one.update_norm is not None:
        parts.append(f"update norm {one.update_norm:.4g}")
    if one.epsilon_before is not None and one.epsilon_after is not None:
        parts.append(f"epsilon {one.epsilon_before:.3f} -> {one.epsilon_after:.3f}")
    return "  ".join(parts)
