"""Where films come from: every film once, in a fixed order, never a hang."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from carina.errors import InputError, TableError
from carina.inference import find_films
from carina.inference.sources import possible_ages


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def _names(top: Path, **options: Path) -> list[str]:
    return [os.path.relpath(source.path, top) for source in find_films([top], **options)]


def test_a_folder_gives_its_films_before_its_subfolders_in_order_of_names(tmp_path: Path) -> None:
    _touch(*(tmp_path / name for name in ("b.PNG", "a.dcm", "z/c.jpg", "m/n/d.tiff", "notes.txt", ".hidden.png")))
    assert _names(tmp_path) == ["a.dcm", "b.PNG", "m/n/d.tiff", "z/c.jpg"]


def test_a_dicom_file_is_known_without_suffix(tmp_path: Path) -> None:
    (tmp_path / "1.2.840.10008").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "README").write_bytes(bytes(200))
    assert _names(tmp_path) == ["1.2.840.10008"]


def test_a_loop_of_links_is_walked_once(tmp_path: Path) -> None:
    _touch(tmp_path / "a" / "one.png")
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    assert _names(tmp_path) == ["a/one.png"]


def test_a_dangling_link_is_listed_and_a_pipe_is_not(tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.dcm")
    assert _names(tmp_path) == ["gone.png"]


def test_heatmaps_are_not_taken_for_films(tmp_path: Path) -> None:
    _touch(tmp_path / "film.png", tmp_path / "out" / "heatmaps" / "film-1.png")
    assert _names(tmp_path, leave_out=[tmp_path / "out" / "heatmaps"]) == ["film.png"]


def test_heatmaps_of_an_earlier_run_are_not_taken_for_films(tmp_path: Path) -> None:
    _touch(tmp_path / "film.png", tmp_path / "old" / "heatmaps" / "film-1.png", tmp_path / "old" / "predictions.jsonl")
    _touch(tmp_path / "heatmaps" / "real.png")
    assert sorted(_names(tmp_path)) == ["film.png", "heatmaps/real.png"]


def test_a_folder_that_may_not_be_read_is_reported_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _touch(tmp_path / "a" / "one.png", tmp_path / "b" / "two.png")
    scan = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("a"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    first, second = find_films([tmp_path])
    assert first.problem is not None
    assert first.problem.code == "unreadable"
    assert second.path.endswith("b/two.png")


def test_a_path_that_does_not_exist_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        list(find_films([tmp_path / "none"]))


def test_a_link_to_itself_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to(tmp_path / "self")
    with pytest.raises(InputError, match=r"symbolic links"):
        list(find_films([tmp_path / "self"]))


@pytest.fixture(params=["csv", "parquet"])
def write_table(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[dict[str, list[object]]], Path]:
    def write(columns: dict[str, list[object]]) -> Path:
        path = tmp_path / f"films.{request.param}"
        frame = pl.DataFrame(columns)
        if request.param == "csv":
            frame.write_csv(path)
        else:
            frame.write_parquet(path)
        return path

    return write


def test_a_table_gives_paths_relative_to_itself_and_ages(
    write_table: Callable[[dict[str, list[object]]], Path],
) -> None:
    path = write_table(
        {
            "age_group": [None, "1-5", "65+", None],
            "path": ["x/a.png", "b.png", "c.png", None],
            "age": [63.5, None, float("nan"), 200.0],
        }
    )
    films = list(find_films([path]))
    assert [film.path for film in films[:3]] == [str(path.parent / name) for name in ("x/a.png", "b.png", "c.png")]
    assert [film.ages for film in films] == [(63.5, 63.5), (1.0, 5.0), None, None]
    assert films[3].problem is not None
    assert films[3].problem.code == "no_path"


def test_a_table_without_paths_is_one_sentence(write_table: Callable[[dict[str, list[object]]], Path]) -> None:
    with pytest.raises(TableError, match="must have a column 'path'"):
        list(find_films([write_table({"file": ["a.png"]})]))


@pytest.mark.parametrize("name", ["films.csv", "films.parquet"])
def test_bytes_that_are_no_table_are_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"path\n\xff\xfe\x00")
    with pytest.raises(TableError, match="must be readable"):
        list(find_films([tmp_path / name]))


@pytest.mark.parametrize(
    ("age", "group", "expected"),
    [
        ("0", None, (0.0, 0.0)),
        ("-1", "", None),
        ("131", "", None),
        ("inf", "", None),
        ("", "5-1", None),
        ("", "1 - 5", (1.0, 5.0)),
        ("40", "1-5", (40.0, 40.0)),
    ],
)
def test_an_age_is_used_where_it_says_something(age: str, group: str | None, expected: object) -> None:
    assert possible_ages(age, group) == expected


def test_a_circle_of_links_leaves_the_films_beside_it(tmp_path: Path) -> None:
    _touch(tmp_path / "good.png")
    for name in ("circle.png", "circle"):
        (tmp_path / name).symlink_to(name)
    found = list(find_films([tmp_path]))
    assert [Path(source.path).name for source in found] == ["circle.png", "good.png", "circle"]
    assert [source.problem is None for source in found] == [True, True, False]


def test_a_table_without_header_does_not_put_its_first_patient_into_the_message(tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text("a.png,Jane Doe,ZZZ0016\n", encoding="utf-8")
    with pytest.raises(TableError) as raised:
        list(find_films([tmp_path / "films.csv"]))
    assert "Jane" not in str(raised.value)


def test_blanks_around_the_name_of_a_column_do_not_count(
    write_table: Callable[[dict[str, list[object]]], Path],
) -> None:
    path = write_table({" path ": ["a.png"], "age ": [7]})
    assert [(Path(film.path).name, film.ages) for film in find_films([path])] == [("a.png", (7.0, 7.0))]
