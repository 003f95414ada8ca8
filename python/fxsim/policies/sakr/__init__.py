"""Sakr and Shanbhag's per-tensor precision assignment."""
