"""Latency and memory of artifacts against the reference. Nothing here measures yet."""
