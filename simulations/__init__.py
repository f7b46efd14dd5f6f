"""Many hospitals played on one machine: cohorts, engines, experiments."""
