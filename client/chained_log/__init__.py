"""Hash chain, lock and outside copies of a site's lasting logs; start with chain.py."""
