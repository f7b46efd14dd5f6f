"""Hash chain, lock, durable lines and copies of the end, shared by ledger and receipts; start with chain.py."""
