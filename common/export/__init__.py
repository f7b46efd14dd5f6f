"""Exports of trained networks to other runtimes; start with onnx_twin.py."""
