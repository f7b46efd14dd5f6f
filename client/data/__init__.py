"""Tables of a hospital, validated into a cohort; start with cohort.py, then reader.py."""
