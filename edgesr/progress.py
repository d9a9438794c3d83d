"""How long work tells that it goes on, without printing."""

from typing import Protocol


class Progress(Protocol):
    """Called with what is being done, how much is done, and of how much (None while unknown)."""

    def __call__(self, stage: str, done: int = 0, total: int | None = None) -> None: ...


def silent(stage: str, done: int = 0, total: int | None = None) -> None:
    """The Progress that shows nothing."""
