"""Latency and memory of exported models against naive exports in other runtimes; see `__main__.py`."""
