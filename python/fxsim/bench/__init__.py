"""Benchmarks: each answers one question, checks bits before it times, and compares with a peer in the same process."""
