"""Enlarge pictures on this machine's GPU: `python3 upscale.py ENGINE IN OUT`; `--help` says the rest."""

import signal
import sys

from jetson_kit.command import main

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service that is stopped leaves no half picture either
    sys.exit(main(sys.argv[1:]))
