"""The privacy ledger, its hash chain and its account; start with ledger.py."""
