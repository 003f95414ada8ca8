"""Machines that do GEMMs, described by records, and what work costs on them."""
