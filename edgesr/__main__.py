"""`python -m edgesr`, where the command `edgesr` is not on the path."""

from edgesr.cli.app import main

if __name__ == "__main__":
    main()
