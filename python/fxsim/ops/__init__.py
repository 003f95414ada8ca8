"""Ops: integer kernels behind torch; the only importers of the compiled core."""
