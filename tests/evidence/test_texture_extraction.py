"""Texture of many films: what is written, what goes on after an interruption, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from carina.errors import InputError, OutputError, TableError, TextureError
from carina.evidence.texture_films import FilmMeasurer, MeasureOptions, read_texture_settings
from carina.evidence.texture_journal import Journal, file_mark
from carina.evidence.texture_rows import film_rows
from carina.evidence.texture_run import extract_texture, parts_folder
from carina.evidence.texture_table import read_features
from carina.tasks import default_task
from carina.texture import TextureSettings

pytest.importorskip("numba", reason="texture needs the extra 'texture'")

SETTINGS = TextureSettings.pyradiomics(None, bin_number=8)
OPTIONS = MeasureOptions(settings=SETTINGS, regions=("lungs", "left"), lungs="given", doubtful=True)


def test_a_row_a_film_with_the_tables_columns_first(make_table: Callable[..., Path], tmp_path: Path) -> None:
    rows = film_rows([make_table(4)], default_task())
    out = tmp_path / "features.parquet"
    summary = extract_texture(rows, out, OPTIONS)
    found = read_features(out)
    assert found.films.columns[:4] == ["image_id", "patient_id", "label", "source"]
    assert found.films["image_id"].to_list() == ["0", "1", "2", "3"]
    assert found.features == OPTIONS.columns
    assert len(found.features) == 2 * 93
    assert np.isfinite(found.values).all()
    assert (summary.films, summary.statuses, summary.exit_status) == (4, {"measured": 4}, 0)


def test_the_table_says_how_it_was_measured_and_so_does_the_json(
    make_table: Callable[..., Path], tmp_path: Path
) -> None:
    rows = film_rows([make_table(1)], default_task())
    extract_texture(rows, tmp_path / "f.parquet", OPTIONS)
    about = read_features(tmp_path / "f.parquet").about
    beside = json.loads((tmp_path / "f.json").read_text("utf-8"))
    assert about["settings_sha256"] == SETTINGS.sha256
    assert about["table_sha256"] == rows.sha256
    assert {key: value for key, value in beside.items() if key != "summary"} == about


def test_the_lung_network_stands_in_the_metadata_by_its_hash(make_table: Callable[..., Path], tmp_path: Path) -> None:
    rows = film_rows([make_table(1)], default_task())
    options = MeasureOptions(settings=SETTINGS, regions=("lungs",))
    summary = extract_texture(rows, tmp_path / "f.parquet", options)
    assert len(read_features(tmp_path / "f.parquet").about["lungs"]["sha256"]) == 64
    # a drawn film holds no lungs that a network would believe: refused, and said
    assert summary.statuses == {"refused": 1}
    assert summary.exit_status == 3
    assert "not plausible" in summary.problems[0][1]


def test_a_run_that_was_interrupted_goes_on_and_ends_in_the_same_bytes(
    make_table: Callable[..., Path], tmp_path: Path
) -> None:
    rows = film_rows([make_table(5)], default_task())
    whole, broken = tmp_path / "whole.parquet", tmp_path / "broken.parquet"
    extract_texture(rows, whole, OPTIONS)

    def stop(done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_texture(rows, broken, OPTIONS, on_film=stop)
    assert not broken.exists()
    with next(parts_folder(broken).glob("films-*.part")).open("ab") as part:
        part.write(b"half a record")  # as a kill leaves it
    measured: list[int] = []
    summary = extract_texture(rows, broken, OPTIONS, on_film=measured.append)
    assert (summary.kept, measured) == (3, [4, 5])
    assert broken.read_bytes() == whole.read_bytes()
    assert not parts_folder(broken).exists()


@pytest.mark.slow
def test_several_processes_give_the_same_bytes(make_table: Callable[..., Path], tmp_path: Path) -> None:
    rows = film_rows([make_table(5)], default_task())
    extract_texture(rows, tmp_path / "one.parquet", OPTIONS)
    extract_texture(rows, tmp_path / "two.parquet", OPTIONS, workers=2)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_films_measured_in_another_way_are_not_mixed(make_table: Callable[..., Path], tmp_path: Path) -> None:
    rows = film_rows([make_table(3)], default_task())
    out = tmp_path / "f.parquet"
    extract_texture(rows, out, OPTIONS)
    again = extract_texture(rows, out, OPTIONS)
    assert (again.kept, again.films) == (3, 3)
    other = MeasureOptions(settings=SETTINGS, regions=("right",), lungs="given", doubtful=True)
    with pytest.raises(OutputError, match="measured in another way"):
        extract_texture(rows, out, other)
    assert extract_texture(rows, out, other, overwrite=True).features == 93


def test_bad_films_are_listed_and_the_rest_goes_on(make_table: Callable[..., Path], tmp_path: Path) -> None:
    flat = np.full((64, 64), 90, np.uint8)
    table = make_table(5, pixels={1: flat}, given={2: np.zeros((64, 64), np.uint8), 3: np.ones((32, 32), np.uint8)})
    (tmp_path / "films/0.png").write_bytes(b"no picture")
    summary = extract_texture(film_rows([table], default_task()), tmp_path / "f.parquet", OPTIONS)
    why = dict(summary.problems)
    assert summary.statuses == {"failed": 4, "measured": 1}
    assert set(why) == {"0", "1", "2", "3"}
    assert "must have texture" in why["1"]
    assert "film's size" in why["3"]
    found = read_features(tmp_path / "f.parquet")
    assert np.isfinite(found.values).all(axis=1).tolist() == [False, False, False, False, True]


def test_the_same_film_under_two_names_is_said(make_table: Callable[..., Path], tmp_path: Path) -> None:
    table = make_table(3)
    (tmp_path / "films/2.png").write_bytes((tmp_path / "films/0.png").read_bytes())
    summary = extract_texture(film_rows([table], default_task()), tmp_path / "f.parquet", OPTIONS)
    assert summary.same == 1
    assert read_features(tmp_path / "f.parquet").films["same_film_as"].to_list() == [None, None, "0"]


def test_a_film_listed_twice_is_refused_and_one_named_twice_measured_once(
    make_table: Callable[..., Path], tmp_path: Path
) -> None:
    table = make_table(2)
    twice = tmp_path / "twice.csv"
    twice.write_text(table.read_text("utf-8") + "0,films/0.png,normal,p0,north,\n", "utf-8")
    with pytest.raises(TableError, match="repeats one in rows"):
        film_rows([twice], default_task())
    named = film_rows([tmp_path / "films/0.png", tmp_path / "films/0.png"], default_task())
    assert (len(named), named.notes) == (1, ("1 films were named twice and are measured once",))


def test_two_files_of_one_name_need_a_table(tmp_path: Path, make_film: Callable[..., Path]) -> None:
    paths = [make_film(tmp_path / name / "film.png") for name in ("a", "b")]
    with pytest.raises(InputError, match="films 1 and 2 do not"):
        film_rows(paths, default_task())


def test_a_number_with_a_dot_in_its_name_is_not_taken_for_a_feature(
    tmp_path: Path, make_table: Callable[..., Path]
) -> None:
    import polars as pl  # noqa: PLC0415 - only here

    frame = pl.read_csv(make_table(2), infer_schema=False).with_columns(pl.lit(0.5).alias("probabilities.covid19"))
    frame.write_parquet(tmp_path / "table.parquet")
    rows = film_rows([tmp_path / "table.parquet"], default_task())
    assert "probabilities_covid19" in rows.frame.columns
    extract_texture(rows, tmp_path / "f.parquet", OPTIONS)
    assert read_features(tmp_path / "f.parquet").features == OPTIONS.columns


def test_a_changed_film_is_measured_again(make_table: Callable[..., Path], tmp_path: Path) -> None:
    make_table(1)
    film = tmp_path / "films/0.png"
    mark = file_mark(str(film))
    measured = FilmMeasurer(OPTIONS).nothing("0", "failed", "why", columns=1)
    with Journal(tmp_path / "parts", {}) as journal:
        journal.write(measured, mark)
        assert journal.has("0", mark)
        film.write_bytes(film.read_bytes() + b" ")
        assert not journal.has("0", file_mark(str(film)))


def test_one_run_writes_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path / "parts", {}), pytest.raises(OutputError, match="one run"):
        Journal(tmp_path / "parts", {})


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(TextureError, match="regions must be of"):
        MeasureOptions(regions=("liver",))


def test_settings_come_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('[texture]\nbin_number = "none"\nbin_size = 10.0\nlbp = false\n', "utf-8")
    found = read_texture_settings(path)
    assert (found.bin_number, found.bin_size, found.lbp) == (None, 10.0, False)
    path.write_text("bins = 3\n", "utf-8")
    with pytest.raises(TextureError, match="bins"):
        read_texture_settings(path)
