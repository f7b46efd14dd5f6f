"""Predictions for patients by an agreement's modalities and tasks; start with predictor.py."""
