"""Compare the engine with the network's reference, before you rely on it: `python3 check.py ENGINE`."""

import sys

from jetson_kit.golden import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
