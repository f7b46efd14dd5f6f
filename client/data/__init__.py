"""The hospital's tables, read and validated into a cohort; start with cohort.py, then reader.py."""
