"""How far a verb has come: a bar on a terminal, plain lines otherwise, always on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

__all__ = ["counting", "growing"]

_LINES = 5


@contextmanager
def counting(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` are done.

    Parameters
    ----------
    total : int
        All.
    what : str
        What is counted, plural, such as ``"phantom films"``.

    Yields
    ------
    callable
        To be called with the number done so far.
    """
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - as above

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)
        return
    told = 0

    def line(done: int) -> None:
        # Work comes in chunks, so that no count need be a fifth of the whole.
        nonlocal told
        reached = _LINES * done // total if total else _LINES
        if reached > told:
            told = reached
            sys.stderr.write(f"{what}: {done} of {total}\n")

    yield line


@contextmanager
def growing(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how many are done where their number becomes known with the first.

    Yields
    ------
    callable
        To be called with the number done so far and the number in all.
    """
    with ExitStack() as stack:
        shown: list[Callable[[int], None]] = []

        def step(done: int, total: int) -> None:
            if not shown:
                shown.append(stack.enter_context(counting(total, what)))
            shown[0](done)

        yield step
