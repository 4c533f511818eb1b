"""`carina phantom` on the command line."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from carina.cli.main import app


def test_verb_writes_films_and_says_where_the_table_is(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["phantom", str(tmp_path / "out"), "--films", "2", "--size", "64", "--seed", "9"])
    assert result.exit_code == 0
    assert str(tmp_path / "out" / "films.csv") in result.stdout
    assert sorted(path.name for path in (tmp_path / "out" / "films").iterdir()) == [
        "PHANTOM0009-0-normal.dcm",
        "PHANTOM0010-0-bacterial.dcm",
    ]


def test_label_option_limits_the_classes(tmp_path: Path) -> None:
    arguments = ["phantom", str(tmp_path), "--films", "2", "--size", "64", "--format", "png", "--label", "viral"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert {path.name for path in (tmp_path / "films").iterdir()} == {
        "PHANTOM0000-0-viral.png",
        "PHANTOM0001-0-viral.png",
    }


def test_unknown_format_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["phantom", str(tmp_path), "--format", "bmp"])
    assert result.exit_code == 2
    assert "bmp" in result.stderr
