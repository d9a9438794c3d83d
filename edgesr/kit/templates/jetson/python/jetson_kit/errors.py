"""What goes wrong, each with an exit code: 1 error, 2 usage, 4 something that this machine lacks. The codes are edgesr's."""


class KitError(Exception):
    """The message says what was wrong; the hint, which may be empty, what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}. {hint}".rstrip())


class UsageError(KitError):
    """What was asked for does not fit together."""

    exit_code = 2


class MissingError(KitError):
    """A package or device that this machine does not have."""

    exit_code = 4
