"""Published studies repeated: which film goes where, and what is written."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

from carina.errors import TableError
from carina.evidence.reproduction_decided import decided
from carina.evidence.reproduction_plan import ARMS, plan_runs, protocols, same_film_units
from carina.evidence.reproduction_table import markdown
from carina.sampling import FilmTable, perceptual_hash
from carina.tasks import default_task


def _table(labels: list[str], films_a_patient: int = 2, source: str = "kermany") -> FilmTable:
    count = len(labels)
    frame = pl.DataFrame(
        {
            "image_id": [f"f{number}" for number in range(count)],
            "path": [f"f{number}.png" for number in range(count)],
            "label": labels,
            "patient_id": [f"p{number // films_a_patient}" for number in range(count)],
            "source": [source] * count,
        }
    )
    return FilmTable(frame, Path(), "0" * 64)


def _four(films: int) -> FilmTable:
    return _table([name for name in ("normal", "bacterial", "viral", "covid19") for _ in range(films)])


def test_the_papers_sizes_are_drawn_in_both_arms() -> None:
    table = _four(1200)
    units = np.arange(len(table)) // 2
    runs, sentences = plan_runs(protocols()["gao-wang"], table, units, seeds=2)
    assert [(run.arm, run.number) for run in runs] == [(arm, number) for arm in ARMS for number in (1, 2)]
    labels = np.array(table.labels)
    for run in runs:
        parts = np.array(run.parts)
        counts = [int((labels[run.rows][parts == "train"] == name).sum()) for name in ("normal", "viral", "covid19")]
        assert counts == [400, 400, 200]  # M25
        assert (parts == "test").sum() == 400
        assert (parts == "tune").sum() + (parts == "calibrate").sum() == 100  # the paper's validation set
        assert len(set(run.rows.tolist())) == len(run.rows)
    assert not any("instead of" in sentence for sentence in sentences)


def test_patients_are_kept_apart_in_one_arm_alone() -> None:
    table = _four(1200)
    runs, _ = plan_runs(protocols()["gao-wang"], table, np.arange(len(table)) // 2, seeds=1)
    shared = {}
    for run in runs:
        people = np.array(table.patients)[run.rows]
        parts = np.array(run.parts)
        shared[run.arm] = len(set(people[parts == "test"]) & set(people[parts == "train"]))
    assert shared["by_patient"] == 0
    assert shared["as_published"] > 20


def test_too_few_films_of_a_class_are_said() -> None:
    table = _four(300)
    _, sentences = plan_runs(protocols()["gao-wang"], table, np.arange(len(table)), seeds=1)
    assert any("165 films of class 'normal' instead of 400 in part 'train'" in sentence for sentence in sentences)


def test_folds_hold_every_film_once() -> None:
    labels = ["normal"] * 600 + ["pneumonia"] * 600 + ["covid19"] * 200
    table = _table(labels, source="nih")
    runs, _ = plan_runs(protocols()["darkcovidnet"], table, np.arange(len(table)) // 2, seeds=1)
    for arm in ARMS:
        tested = [row for run in runs if run.arm == arm for row in run.rows[np.array(run.parts) == "test"].tolist()]
        assert len(tested) == len(set(tested)) == 1125  # 500 + 500 + 125
        assert [run.number for run in runs if run.arm == arm] == [1, 2, 3, 4, 5]


def test_the_official_test_part_is_used_where_the_table_names_it() -> None:
    table = _table([name for name in ("normal", "bacterial", "viral") for _ in range(100)])
    units = np.arange(len(table)) // 2
    _, sentences = plan_runs(protocols()["kermany"], table, units, seeds=1)
    assert any("official test part is absent" in sentence for sentence in sentences)
    official = pl.Series("official_part", ["test" if row % 10 == 0 else "train" for row in range(300)])
    runs, sentences = plan_runs(
        protocols()["kermany"], table.with_frame(table.frame.with_columns(official)), units, seeds=1
    )
    assert not any("absent" in sentence for sentence in sentences)
    (first,) = (run for run in runs if run.arm == "as_published")
    tested = first.rows[np.array(first.parts) == "test"]
    assert sorted(tested.tolist()) == list(range(0, 300, 10))


def test_near_duplicates_of_two_patients_stay_together() -> None:
    rng = np.random.default_rng(3)
    pictures = [cv2.GaussianBlur(rng.random((64, 64), dtype=np.float32), (0, 0), 4) for _ in range(3)]
    hashes = [perceptual_hash(picture) for picture in (pictures[0], pictures[1], pictures[2], pictures[0])]
    units = same_film_units(_table(["normal"] * 4, films_a_patient=1), hashes)
    assert units[0] == units[3]
    assert len(set(units.tolist())) == 3


def test_what_films_are_called_is_counted_by_class() -> None:
    table = _table(["normal", "bacterial", "viral", "covid19"])  # of two patients, two films each
    chances = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.2, 0.6, 0.1], [0.4, 0.3, 0.2, 0.1], [0.0, 0.1, 0.1, 0.8]])
    found = decided(table, default_task(), chances)
    assert found["confusion"] == [[1, 0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    assert (found["accuracy"]["all_films"], found["accuracy"]["value"], found["accuracy"]["n"]) == (0.5, 0.5, 2)
    # one of two, exact: 1 - sqrt(0.975) and its mirror
    assert found["accuracy"]["low"] == pytest.approx(1 - 0.975**0.5)
    assert found["accuracy"]["high"] == pytest.approx(0.975**0.5)


def test_a_class_without_films_is_refused() -> None:
    table = _table(["normal", "viral"] * 20)
    with pytest.raises(TableError, match="must have films"):
        plan_runs(protocols()["kermany"], table, np.arange(40), seeds=1)


def test_published_figures_stand_in_a_table_of_their_own() -> None:
    published = [one.model_dump() for one in protocols()["kermany"].published]
    values = {
        "title": "T", "doi": "10.1/x", "carina": "0", "table": {"films": 1, "patients": 1, "sha256": "0" * 64},
        "what": [], "sentences": [], "runs": [], "published": published, "summary": [],
    }  # fmt: skip
    measured, apart, reported = markdown(values).partition("## Published, on other films")
    assert apart
    assert "0.968" in reported
    assert "0.968" not in measured


def test_a_published_figure_says_what_it_was_checked_against() -> None:
    known = protocols()
    assert all(one.checked for name in ("kermany", "darkcovidnet") for one in known[name].published)
    hours = known["gao-wang"].published[0].model_dump()
    values = {
        "title": "T", "doi": "10.1/x", "carina": "0", "table": {"films": 1, "patients": 1, "sha256": "0" * 64},
        "what": [], "sentences": [], "runs": [], "published": [hours], "summary": [],
    }  # fmt: skip
    assert "| not checked |" in markdown(values)


def test_films_by_class_are_shown_by_both_probabilities_and_summed_over_runs() -> None:
    def run(own: list[list[int]], calibrated: list[list[int]]) -> dict[str, object]:
        accuracy = {"value": 0.75, "low": 0.5, "high": 0.9}
        ways = {"network": own, "calibrated": calibrated}
        return {
            "arm": "as_published", "run": 1, "classes": ["normal", "viral"], "training_seconds": 61.2,
            "films": dict.fromkeys(("train", "tune", "calibrate", "test"), 4), "warning": "few", "sentences": [],
            "leaks": {"patients": 2, "near_duplicates": 0},
            "decided": {way: {"confusion": counts, "accuracy": accuracy} for way, counts in ways.items()},
        }  # fmt: skip

    values = {
        "title": "T", "doi": "10.1/x", "carina": "0", "table": {"films": 1, "patients": 1, "sha256": "0" * 64},
        "what": [], "sentences": [], "published": [], "summary": [],
        "runs": [run([[1, 1], [0, 2]], [[2, 0], [2, 0]]), run([[2, 0], [1, 1]], [[2, 0], [2, 0]])],
    }  # fmt: skip
    told = markdown(values)
    own, calibrated = told.split("As published, network;")[1].split("As published, calibrated;")
    assert "| normal | 3 | 1 | 75.0% |" in own
    assert "| viral | 1 | 3 | 75.0% |" in own
    assert "| viral | 4 | 0 | 0.0% |" in calibrated
    assert "| 0.750 (0.500-0.900) | 61 |" in told


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_quick_reproduction_is_written_and_resumed(tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason="training needs the extra 'train'")
    from carina.evidence.reproduction import ReproductionOrder, reproduce  # noqa: PLC0415 - needs the extra

    rng = np.random.default_rng(1)
    rows = []
    for number in range(240):
        label = ("normal", "bacterial", "viral", "covid19")[number % 4]
        picture = cv2.GaussianBlur(rng.random((48, 48)).astype(np.float32), (0, 0), 1 + number % 4)
        cv2.imwrite(str(tmp_path / f"{number}.png"), (picture * 255).astype(np.uint8))
        rows.append((f"{number}.png", label, f"p{number // 2}", "made"))
    table = tmp_path / "films.csv"
    pl.DataFrame(rows, schema=["path", "label", "patient_id", "source"], orient="row").write_csv(table)
    order = ReproductionOrder("gao-wang", table, tmp_path / "out", seeds=1, quick=True, audit=False)
    found = reproduce(order)
    assert "quick try" in found["sentences"][0]
    assert [run["arm"] for run in found["runs"]] == list(ARMS)
    assert all(run["decided"] is None for run in found["runs"])  # four classes less the others would give COVID-19 back
    assert "Withheld: no shortcut audit." in (tmp_path / "out" / "reproduction.md").read_text("utf-8")
    covid = [line for line in found["summary"] if line["contrast"] == "covid19_given_pneumonia"]
    assert all(line["mean"] is None and line["verdicts"] == ["withheld: no shortcut audit"] for line in covid)
    result = tmp_path / "out" / "by_patient" / "seed-1" / "result.json"
    before = result.stat().st_mtime_ns
    assert reproduce(order)["runs"] == found["runs"]
    assert result.stat().st_mtime_ns == before
    assert json.loads((tmp_path / "out" / "reproduction.json").read_text())["published"][0]["value"] == 4.0
