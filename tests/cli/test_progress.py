"""Plain progress lines, as a log shows them."""

from __future__ import annotations

import pytest

from carina.cli.progress import counting


def test_a_line_for_each_fifth_though_films_come_in_chunks(capsys: pytest.CaptureFixture[str]) -> None:
    with counting(103, "films") as step:
        for done in (7, 14, 28, 30, 43, 59, 64, 86, 101, 103):
            step(done)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"films: {done} of 103" for done in (28, 43, 64, 86, 103)]


def test_few_films_have_a_line_each_and_the_end_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    with counting(3, "films") as step:
        for done in (1, 2, 3, 3):
            step(done)
    assert capsys.readouterr().err.splitlines() == [f"films: {done} of 3" for done in (1, 2, 3)]


def test_nothing_to_do_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    with counting(0, "films") as step:
        step(0)
    assert capsys.readouterr().err == "films: 0 of 0\n"
