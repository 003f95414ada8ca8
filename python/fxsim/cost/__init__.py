"""Counts of what was executed, and what they cost."""
