"""Commands that measure: each prints a table that anyone can make again."""
