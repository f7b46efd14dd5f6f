"""Hash chain, lock and durable files of ledger and receipts; start with chain.py."""
