"""Page of a patient's forecast, for the eyes of the hospital; start with page.py."""
