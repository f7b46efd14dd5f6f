"""Sinks of a run's figures, each an extra: MLflow and TensorBoard; start with tracker.py."""
