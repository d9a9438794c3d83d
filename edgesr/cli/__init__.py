"""The command `edgesr`. Only `render.py` prints."""
