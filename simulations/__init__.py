"""Many hospitals on one machine: cohorts, engines, experiments; start with simulate.py."""
