"""Benchmarks: accuracy and speed beside peers, on the same rows in the same run."""
