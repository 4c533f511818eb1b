"""Verbs whose libraries are an optional extra."""

from __future__ import annotations

from importlib.util import find_spec

from carina.errors import MissingExtraError

__all__ = ["require_extra"]


def require_extra(extra: str, *modules: str, verb: str | None = None) -> None:
    """Refuse a verb whose extra is not installed.

    Parameters
    ----------
    extra : str
        Name of the extra in pyproject.
    *modules : str
        Top-level modules that it brings.
    verb : str or None
        Name of the verb; by default that of the extra.

    Raises
    ------
    MissingExtraError
        If one of the modules is not there.
    """
    if any(find_spec(module) is None for module in modules):
        raise MissingExtraError(verb or extra, extra)
