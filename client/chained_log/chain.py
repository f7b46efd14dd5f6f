"""Hash chain of an append-only log.

Every entry is sealed by a hash over the previous hash and the entry's text.

The privacy ledger and the receipts are two such logs. Chain, lock, copies of the end and durable writing are the same
for both. Their storage stays apart, for each would be weaker in the other's place: ledger entries lie in SQLite, where
verifying the log, checking the budget and reserving are one transaction, and triggers refuse every change; receipts
are lines of signed JSON, which anyone verifies with the public key and without a database. Their recovery stays apart
too. An unfinished receipt never left and is cut off, whereas a ledger entry counts from the moment it is written, and
only the hospital itself may acknowledge that a ledger was lost.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ChainEnd:
    """End of a chain.

    Attributes:
        count: number of entries.
        hash: SHA-256 of the last entry in hex; what the chain begins with if there is none.
    """

    count: int
    hash: str

    def followed_by(self, text: str) -> "ChainEnd":
        """Return the end after one more entry of this text."""
        return ChainEnd(self.count + 1, hashlib.sha256(f"{self.hash}\n{text}".encode()).hexdigest())

    def is_in(self, hashes: Sequence[str]) -> bool:
        """Whether a chain with these hashes ended here once.

        It is then the same chain, perhaps with later entries.
        """
        return self.count == 0 or (len(hashes) >= self.count and hashes[self.count - 1] == self.hash)
