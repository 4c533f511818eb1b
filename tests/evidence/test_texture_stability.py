"""Which features are marked repeatable, source-bound and kept, on films made so that the answer is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from carina.errors import InputError, OutputError
from carina.evidence.texture_changes import CHANGES, Change, changed
from carina.evidence.texture_films import MeasureOptions
from carina.evidence.texture_repeats import Repeated, measure_again, sample_films
from carina.evidence.texture_rows import FilmRows, film_rows
from carina.evidence.texture_stability import StabilityRules, dependence, judge_stability, write_stability
from carina.imaging.lung_fields import LungFields
from carina.tasks import default_task
from carina.texture import TextureSettings

FEATURES = ("lungs.a_firm", "lungs.a_loose", "lungs.a_of_source", "lungs.a_constant", "lungs.a_missing")


def _films(count: int = 100) -> pl.DataFrame:
    number = np.arange(count)
    return pl.DataFrame({
        "image_id": [str(n) for n in number],
        "patient_id": [f"p{n}" for n in number],
        "label": ["normal" if n % 4 < 2 else "viral" for n in number],
        "source": ["north" if n % 2 else "south" for n in number],
        "path": [f"{n}.png" for n in number],
    })  # fmt: skip


@pytest.fixture
def repeated() -> Repeated:
    """A hundred films; the features are firm, loose under noise, of the source, constant and mostly missing."""
    rng = np.random.default_rng(3)
    films = _films()
    north = np.array(films["source"].to_list()) == "north"
    values = np.repeat(rng.normal(size=(100, 1, 5)), 1 + len(CHANGES), axis=1)
    values += 0.05 * rng.normal(size=values.shape)
    noisy = [place for place, change in enumerate(CHANGES, 1) if change.family == "noise"]
    values[:, noisy, 1] += rng.normal(size=(100, len(noisy)))
    values[north, :, 2] += 4
    values[:, :, 3] = 7.0
    values[5:, :, 4] = np.nan
    return Repeated(FilmRows(films, None, None, ()), values, {})


def test_marks_are_those_the_films_were_made_for(repeated: Repeated) -> None:
    found = judge_stability(FEATURES, repeated, repeated.rows.frame, repeated.values[:, 0])
    rows = {row["feature"]: row for row in found.frame.iter_rows(named=True)}
    assert {name: row["keep"] for name, row in rows.items()} == dict(
        zip(FEATURES, (True, False, False, False, False), strict=True)
    )
    assert (rows[FEATURES[1]]["repeatable"], rows[FEATURES[1]]["icc_least_family"]) == (False, "noise")
    assert (rows[FEATURES[2]]["repeatable"], rows[FEATURES[2]]["source_bound"]) == (True, True)
    assert "does not vary" in rows[FEATURES[3]]["why"]
    assert "5 films have it" in rows[FEATURES[4]]["why"]
    assert "under noise" in rows[FEATURES[1]]["why"]


def test_rules_decide(repeated: Repeated) -> None:
    lax = StabilityRules(least_icc=0.01, most_source=1.0)
    found = judge_stability(
        FEATURES[:3], Repeated(repeated.rows, repeated.values[..., :3], {}), _films(), repeated.values[:, 0, :3], lax
    )
    assert found.frame["keep"].to_list() == [True, True, True]


def test_a_rule_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="least_icc"):
        StabilityRules(least_icc=0.0)


def test_the_source_counts_within_a_label_alone() -> None:
    # every film of the north is ill: that is no dependence on the source within a label
    values = np.repeat([[0.0], [5.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 1)) * 0.1
    share, where, compared = dependence(values, ["normal"] * 20 + ["viral"] * 20, ["south"] * 20 + ["north"] * 20)
    assert np.isnan(share[0])
    assert (where, compared) == ([None], [])


def test_a_view_is_marked_and_kept_unless_it_is_asked_for(repeated: Repeated) -> None:
    films = _films().with_columns(view=pl.Series(["PA" if n % 8 < 4 else "AP" for n in range(100)]))
    values = repeated.values.copy()
    values[[n % 8 < 4 for n in range(100)], :, 0] += 3
    part = Repeated(repeated.rows, values[..., :1], {})
    least = StabilityRules(drop_view_bound=False), StabilityRules(drop_view_bound=True)
    found = [
        judge_stability(FEATURES[:1], part, films, values[:, 0, :1], rules).frame.row(0, named=True) for rules in least
    ]
    assert [one["view_bound"] for one in found] == [True, True]
    assert [one["keep"] for one in found] == [True, False]


def test_the_table_is_written_with_what_it_rests_on(repeated: Repeated, tmp_path: Path) -> None:
    found = judge_stability(FEATURES, repeated, _films(), repeated.values[:, 0])
    write_stability(found, tmp_path / "stability.parquet")
    read = pl.read_parquet(tmp_path / "stability.parquet")
    assert read.columns[:6] == ["feature", "keep", "why", "repeatable", "source_bound", "view_bound"]
    assert '"films_measured_again": 100' in (tmp_path / "stability.json").read_text("utf-8")
    with pytest.raises(OutputError, match=r"\.parquet"):
        write_stability(found, tmp_path / "stability.csv")


def test_the_sample_has_one_film_a_patient_and_every_source(make_table: Callable[..., Path]) -> None:
    rows = film_rows([make_table(40)], default_task())
    chosen = sample_films(rows, 12, seed=1)
    assert chosen.frame["patient_id"].n_unique() == len(chosen) == 12
    assert set(chosen.frame["source"].to_list()) == {"north", "south"}
    assert chosen.image_ids == sample_films(rows, 12, seed=1).image_ids


def test_too_few_films_are_refused(make_table: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="10 patients"):
        sample_films(film_rows([make_table(12)], default_task()), 60, seed=1)


def test_films_are_measured_as_they_are_and_after_every_change(make_table: Callable[..., Path]) -> None:
    pytest.importorskip("numba", reason="texture needs the extra 'texture'")
    settings = TextureSettings.pyradiomics(None, bin_number=8)
    options = MeasureOptions(settings=settings, regions=("lungs",), lungs="given", doubtful=True)
    rows = sample_films(film_rows([make_table(24)], default_task()), 10, seed=1)
    found = measure_again(rows, options, seed=1)
    assert found.values.shape == (10, 11, 93)
    assert np.isfinite(found.values).all()
    assert (found.values == measure_again(rows, options, seed=1).values).all()


def test_a_grown_mask_grows_and_a_shrunk_one_shrinks() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[20:80, 10:40], mask[20:80, 60:90] = 1, 2
    film, fields = np.zeros((100, 100), np.float32), LungFields(mask)
    areas = [np.count_nonzero(changed(film, fields, Change("mask", by), 0)[1].mask) for by in (-0.02, 0.0, 0.02)]
    plain = np.count_nonzero(mask)
    assert areas[0] < plain < areas[2]
    # a disc of radius 2 takes 2 pixels from each side of both lungs
    assert areas[0] == 2 * (30 - 4) * (60 - 4)


def test_a_smaller_film_has_a_smaller_mask() -> None:
    film, mask = np.zeros((100, 80), np.float32), np.ones((100, 80), np.uint8)
    pixels, fields = changed(film, LungFields(mask), Change("resize", 0.8), 0)
    assert pixels.shape == fields.mask.shape == (80, 64)
