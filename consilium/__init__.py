"""Federated learning across hospitals, from Python; read `command.py` first for the console command."""

from consilium.packages import pin

pin()
