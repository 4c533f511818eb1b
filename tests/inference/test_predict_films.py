"""Many films: order, resumption, refusals and full disks."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from carina.errors import InputError, OutputError
from carina.inference import PredictOptions, Reader, Reading, Summary, count_films, load_bundle, predict_films
from carina.inference.sources import FilmSource
from carina.inference.workers import Workers


@pytest.fixture
def options(tiny_bundle: Path) -> PredictOptions:
    return PredictOptions(model=str(tiny_bundle), gate=False)


@pytest.fixture
def films(make_film: Callable[..., Path], tmp_path: Path) -> Path:
    """Six films and, third in order, a file that is none."""
    for seed, name in enumerate(("a", "b", "d", "e", "f", "g")):
        make_film(tmp_path / "films" / f"{name}.png", seed=seed)
    (tmp_path / "films" / "c.png").write_bytes(b"not a picture")
    return tmp_path / "films"


def _lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]


def _without_time(out: Path) -> list[dict[str, object]]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in _lines(out)]


def test_a_bad_file_never_stops_the_rest(films: Path, tmp_path: Path, options: PredictOptions) -> None:
    summary = predict_films([films], tmp_path / "out", options)
    assert (summary.films, summary.judged, summary.unread, summary.exit_status) == (7, 6, 1, 3)
    lines = _lines(tmp_path / "out")
    assert [Path(str(line["file"])).stem for line in lines] == list("abcdefg")
    assert [line["error"] is None for line in lines] == [True, True, False, True, True, True, True]


def test_the_table_holds_what_the_lines_hold(films: Path, tmp_path: Path, options: PredictOptions) -> None:
    predict_films([films], tmp_path / "out", options)
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = _lines(tmp_path / "out")
    assert len(rows) == len(lines) == 7
    for row, line in zip(rows, lines, strict=True):
        for column, cell in row.items():
            value: object = line
            for key in column.split("."):
                value = value[key] if isinstance(value, dict) else None
            assert cell == ("" if value is None else value if isinstance(value, str) else json.dumps(value)), column


def test_workers_change_nothing_but_the_time(films: Path, tmp_path: Path, options: PredictOptions) -> None:
    predict_films([films], tmp_path / "one", options)
    predict_films([films], tmp_path / "two", replace(options, workers=2))
    assert _without_time(tmp_path / "one") == _without_time(tmp_path / "two")
    for picture in (tmp_path / "one" / "heatmaps").glob("*.png"):
        assert picture.read_bytes() == (tmp_path / "two" / "heatmaps" / picture.name).read_bytes()


def test_the_packaged_gate_refuses_a_blank_film(
    make_film: Callable[..., Path], tmp_path: Path, options: PredictOptions
) -> None:
    film = make_film(tmp_path / "blank.png", np.full((400, 400), 90, np.uint8))
    summary = predict_films([film], tmp_path / "out", replace(options, gate=True))
    assert (summary.refused, summary.exit_status, summary.decisions) == (1, 3, {"refused": 1})
    (line,) = _lines(tmp_path / "out")
    assert line["probabilities"] is None
    assert line["quality"]["accepted"] is False  # type: ignore[index]  # parsed JSON
    assert list((tmp_path / "out" / "heatmaps").iterdir()) == []


def test_equal_names_in_different_folders_keep_their_own_heatmaps(
    make_film: Callable[..., Path], tmp_path: Path, options: PredictOptions
) -> None:
    for seed in (1, 2):
        make_film(tmp_path / "films" / str(seed) / "chest.png", seed=seed)
    predict_films([tmp_path / "films"], tmp_path / "out", options)
    first, second = _lines(tmp_path / "out")
    assert first["heatmap"] != second["heatmap"]
    assert len(list((tmp_path / "out" / "heatmaps").iterdir())) == 4


def test_a_film_named_twice_is_judged_once(films: Path, tmp_path: Path, options: PredictOptions) -> None:
    assert count_films([films, films / "a.png", films], tmp_path / "out") == 7
    assert predict_films([films, films / "a.png"], tmp_path / "out", options).films == 7


def test_no_film_at_all_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="there must be a film to judge"):
        count_films([tmp_path / "empty"], tmp_path / "out")


class _StopError(Exception):
    pass


def _predict_until(inputs: Path, out: Path, options: PredictOptions, number: int) -> None:
    def stop(done: int, _: Reading | None) -> None:
        if done == number:
            raise _StopError

    with pytest.raises(_StopError):
        predict_films([inputs], out, options, on_film=stop)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_goes_on_where_it_stopped(
    films: Path, tmp_path: Path, options: PredictOptions, workers: int
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    predict_films([films], whole, options)
    _predict_until(films, out, replace(options, workers=workers), 4)
    assert len(_lines(out)) == 4
    summary = predict_films([films], out, options)
    assert (summary.films, summary.kept, summary.judged, summary.unread) == (7, 4, 6, 1)
    assert _without_time(out) == _without_time(whole)
    assert len((out / "predictions.csv").read_text().splitlines()) == 8


def test_half_a_last_line_is_judged_again(films: Path, tmp_path: Path, options: PredictOptions) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    predict_films([films], whole, options)
    predict_films([films], out, options)
    content = (out / "predictions.jsonl").read_bytes()
    (out / "predictions.jsonl").write_bytes(content[:-40])
    assert predict_films([films], out, options).kept == 6
    assert _without_time(out) == _without_time(whole)


def test_a_film_that_changed_is_judged_again(
    films: Path, tmp_path: Path, options: PredictOptions, make_film: Callable[..., Path]
) -> None:
    out = tmp_path / "out"
    predict_films([films], out, options)
    before = {str(line["file"]): line["film"] for line in _lines(out)}
    make_film(films / "d.png", seed=99)
    assert predict_films([films], out, options).kept == 6
    after = {str(line["file"]): line["film"] for line in _lines(out)}
    assert [Path(file).stem for file in before if before[file] != after[file]] == ["d"]
    assert len(_lines(out)) == 7


def test_a_film_that_was_missing_is_tried_again(
    make_film: Callable[..., Path], tmp_path: Path, options: PredictOptions
) -> None:
    table, out = tmp_path / "films.csv", tmp_path / "out"
    table.write_text("path\nlater.png\n")
    assert predict_films([table], out, options).unread == 1
    make_film(tmp_path / "later.png")
    summary = predict_films([table], out, options)
    assert (summary.judged, summary.kept) == (1, 0)
    assert len(_lines(out)) == 1


def test_predictions_of_another_model_are_not_mixed(
    films: Path, tmp_path: Path, options: PredictOptions, make_bundle: Callable[..., Path]
) -> None:
    out = tmp_path / "out"
    predict_films([films], out, options)
    before = (out / "predictions.jsonl").read_bytes()
    other = replace(options, model=str(make_bundle(tmp_path / "other", version=2)))
    with pytest.raises(OutputError, match="holds predictions of model 'tiny' made with another model"):
        predict_films([films], out, other)
    assert (out / "predictions.jsonl").read_bytes() == before
    assert predict_films([films], out, replace(other, overwrite=True)).kept == 0
    assert {line["model"]["version"] for line in _lines(out)} == {"2"}  # type: ignore[index]  # parsed JSON


def test_overwriting_throws_away_the_heatmaps_of_before_and_nothing_else(
    films: Path, tmp_path: Path, options: PredictOptions
) -> None:
    out = tmp_path / "out"
    predict_films([films], out, options)
    (out / "heatmaps" / "mine.png").write_bytes(b"")
    predict_films([films], out, replace(options, layers=False, overwrite=True))
    assert [path.name for path in (out / "heatmaps").iterdir()] == ["mine.png"]


def test_predictions_with_other_options_are_not_mixed(films: Path, tmp_path: Path, options: PredictOptions) -> None:
    predict_films([films], tmp_path / "out", options)
    with pytest.raises(OutputError, match="made with another layers"):
        predict_films([films], tmp_path / "out", replace(options, layers=False))


def test_a_folder_in_use_is_refused(films: Path, tmp_path: Path, options: PredictOptions) -> None:
    def again(number: int, _: Reading | None) -> None:
        if number == 1:
            predict_films([films], tmp_path / "out", options)

    with pytest.raises(OutputError, match="in use by another run"):
        predict_films([films], tmp_path / "out", options, on_film=again)


def test_an_output_path_that_is_a_file_is_one_sentence(films: Path, tmp_path: Path, options: PredictOptions) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="output folder"):
        predict_films([films], tmp_path / "out", options)


@contextmanager
def _files_at_most(size: int) -> Iterator[None]:
    """Writes beyond `size` bytes of a file fail, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_keeps_what_is_finished(films: Path, tmp_path: Path, options: PredictOptions) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    options = replace(options, layers=False)
    predict_films([films], whole, options)
    with _files_at_most(3000), pytest.raises(OutputError, match="finished films are kept, make room and run the same"):
        predict_films([films], out, options)
    kept = len(_lines(out))
    assert 0 < kept < 7
    assert (out / "predictions.jsonl").read_bytes().endswith(b"\n")
    assert predict_films([films], out, options).kept == kept
    assert _without_time(out) == _without_time(whole)


def test_a_file_name_that_is_not_utf8_still_gives_json(
    make_film: Callable[..., Path], tmp_path: Path, options: PredictOptions
) -> None:
    film = make_film(tmp_path / "films" / "plain.png")
    os.rename(os.fsencode(film), os.fsencode(film.parent) + b"/\xff\xfe.png")  # noqa: PTH104 - a Path cannot hold these bytes
    predict_films([film.parent], tmp_path / "out", options)
    content = (tmp_path / "out" / "predictions.jsonl").read_bytes().decode("utf-8")
    assert json.loads(content)["file"].endswith("\udcff\udcfe.png")


def test_the_run_is_described_beside_its_predictions(films: Path, tmp_path: Path, options: PredictOptions) -> None:
    predict_films([films], tmp_path / "out", replace(options, prevalence={"covid19": 0.1}))
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["model"]["sha256"] == load_bundle(options.model).model_sha256
    assert run["class_mix"] == {"normal": 0.4, "bacterial": 0.3, "viral": 0.2, "covid19": 0.1}
    assert run["prevalence"]["covid19"] == pytest.approx(0.1)


def test_a_film_that_kills_its_process_is_found_and_the_rest_goes_on(
    films: Path, tmp_path: Path, options: PredictOptions
) -> None:
    sources = [FilmSource(str(films / f"{name}.png")) for name in "abdefg"]
    workers = Workers(load_bundle(options.model), replace(options, workers=2, layers=False), tmp_path)
    processes = workers._processes
    submit = processes._submit

    def deadly(films: list[FilmSource]) -> object:
        return processes._pool.submit(os.abort) if films[0].path.endswith("d.png") else submit(films)

    processes._submit = deadly  # type: ignore[method-assign, assignment]  # stands in for a decoder that crashes
    try:
        readings = list(workers.read(iter(sources)))
    finally:
        workers.stop()
    assert [reading.file for reading in readings] == [source.path for source in sources]
    assert [reading.error.code if reading.error else None for reading in readings] == [
        *(None, None, "worker_died", None, None, None)
    ]


def test_what_carina_did_not_foresee_is_an_error_of_one_film(
    films: Path, tmp_path: Path, options: PredictOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Reader.judge

    def fail(*_: object) -> object:
        monkeypatch.setattr(Reader, "judge", judge)
        raise ZeroDivisionError("patient Smith")

    monkeypatch.setattr(Reader, "judge", fail)
    summary = predict_films([films], tmp_path / "out", options)
    assert summary == Summary(7, 5, 0, 2, 0, summary.decisions)
    first = _lines(tmp_path / "out")[0]["error"]
    assert first["code"] == "internal"  # type: ignore[index]  # parsed JSON
    assert "Smith" not in json.dumps(first)
