"""Receipts of replies that a site sent."""

import hashlib

from client.receipts.book import append_receipt
from client.receipts.page import read_receipts
from client.receipts.receipt import Receipt
from client.site_folder.keys import read_key
from client.site_folder.places import Home


def send(home: Home, count: int) -> None:
    """Append receipts of so many further replies of run 8."""
    before = len(read_receipts(home).receipts)
    for number in range(before, before + count):
        receipt = Receipt(
            run="8",
            request=f"r{number}",
            asked="train",
            message="TrainReply",
            verdict="passed",
            size_bytes=1,
            sha256=hashlib.sha256(str(number).encode()).hexdigest(),
        )
        append_receipt(home.receipts, receipt, read_key(home.key))
