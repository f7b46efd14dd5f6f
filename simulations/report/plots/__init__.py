"""Plots of an experiment in one style; start with arm_plots.py."""
