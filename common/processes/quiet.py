"""Environment in which Flower sends no telemetry and asks for no newer version."""

QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
