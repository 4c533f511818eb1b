"""Errors that travel between processes."""

from __future__ import annotations

from carina.errors import CarinaError, FilmRejectedError, MissingExtraError


def test_every_error_survives_the_way_back_from_a_process() -> None:
    made: list[CarinaError] = [
        FilmRejectedError("empty", "the file is empty"),
        MissingExtraError("predict", "openvino"),
    ]
    made += [kind("one sentence") for kind in CarinaError.__subclasses__() if kind not in set(map(type, made))]
    for error in made:
        # What a pool of processes sends is what `__reduce__` says, and makes the error of it again.
        kind, arguments = error.__reduce__()[:2]
        back = kind(*arguments)
        assert (type(back), str(back)) == (type(error), str(error))
