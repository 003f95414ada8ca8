"""Recorded runs as tables, plots and one self-contained HTML page."""
