"""Table of the field and ablations, over seeds and folds; start with rows.py."""
