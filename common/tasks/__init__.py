"""Loss, prediction and scores of every kind of task; start with objective.py."""
