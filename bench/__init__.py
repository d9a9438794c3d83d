"""Latency and memory of artifacts against the reference."""
