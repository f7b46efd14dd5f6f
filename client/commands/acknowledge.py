"""Acknowledgement of ledger, records and receipts that were lost, set back or restored."""

from dataclasses import dataclass

from client.chained_log.site_log import acknowledge_records
from client.ledger.account import acknowledge_loss
from client.ledger.ledger import LEDGER
from client.receipts.acknowledgement import acknowledge_receipts
from client.receipts.countersigned import accept_missing
from client.site_folder.keys import read_public_key
from client.site_folder.places import Home
from client.site_folder.site_file import parse_site_file
from common.errors import OptionError, StateError


@dataclass(frozen=True)
class Acknowledged:
    """Losses that were acknowledged.

    Attributes:
        ledger: whether the ledger was lost or not confirmed.
        ledger_begun: whether a new ledger was begun; otherwise it goes on with the note.
        records: names of the records.
        receipts: whether they were not those that are counted outside the site folder.
        missing: whether the coordinator has messages that they lack.
    """

    ledger: bool
    ledger_begun: bool
    records: tuple[str, ...]
    receipts: bool
    missing: bool

    def lines(self) -> list[str]:
        """Sentences for a person."""
        sentences = {
            "The ledger goes on as it is, with the note.": self.ledger and not self.ledger_begun,
            f"Records that go on with the note: {', '.join(self.records)}.": bool(self.records),
            "The receipts go on from what is there; what was not whole is archived.": self.receipts,
            "The coordinator has messages that the receipts lack; that is accepted.": self.missing,
        }
        return [sentence for sentence, holds in sentences.items() if holds]


def acknowledge_site(home: Home, note: str) -> Acknowledged:
    """Acknowledge all that a site lost, had set back, damaged or restored, with one note.

    What is still known to be spent counts as before.

    Raises:
        InputError: if the note is empty, there is nothing to acknowledge, or a file cannot be read or written.
        Refusal: RECORD_UNAVAILABLE if a record cannot be read or written.
    """
    ledger = home.folder / LEDGER
    if not note.strip():
        raise OptionError(str(ledger), "the acknowledgement is empty", "write what happened")
    parse_site_file(home.folder)
    records = acknowledge_records(home.folder, note)
    try:
        begun, is_lost = acknowledge_loss(home.folder, note), True
    except StateError:
        begun, is_lost = False, False
    has_key = home.public_key.exists()
    receipts = has_key and acknowledge_receipts(home.receipts, read_public_key(home.public_key))
    missing = has_key and accept_missing(home, note, set_back=receipts)
    if not (records or is_lost or receipts or missing):
        what = "ledger, records and receipts are as they should be"
        raise StateError(str(ledger), what, "there is nothing to acknowledge")
    return Acknowledged(is_lost, begun, records, receipts, missing)
