"""Charts as inline SVG, drawn without a library for drawing; start with lines.py."""
