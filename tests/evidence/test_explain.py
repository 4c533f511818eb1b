"""Relevance of a whole model, on drawn films whose answer is known (M3, M33)."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carina.errors import InputError, TableError
from carina.evidence import (
    MEASURES,
    ExplainOptions,
    Explanation,
    explain,
    findings,
    plan_films,
    read_boxes,
    write_explanation,
)
from carina.imaging.lung_fields import LungFields
from carina.inference import Bundle, load_bundle
from carina.sampling import FilmTable, patient_key, read_film_table

QUICK = ExplainOptions(films=12, costly_films=4, steps=4, shuffles=1, repeats=200)


class _Finder:
    """Says of every film what it was told."""

    def __init__(self, fields: LungFields) -> None:
        self.fields = fields

    def find(self, film: Any) -> LungFields:
        del film
        return self.fields


@pytest.fixture
def bundle(make_bundle: Callable[..., Path], tmp_path: Path) -> Bundle:
    """Every class's map is bright where the film is."""
    weights = np.array([[1.0, 1.1, 1.2, 1.3], [0.0, 0.0, 0.0, 0.0]])
    return load_bundle(make_bundle(tmp_path / "bright", weights=weights))


def _table(path: Path, bundle: Bundle) -> FilmTable:
    return read_film_table(path, bundle.task)


def _boxes(folder: Path, *lines: str) -> Any:
    path = folder / "boxes.csv"
    path.write_text("\n".join(["image_id,x,y,w,h", *lines]) + "\n", "utf-8")
    return read_boxes(path)


def test_a_map_in_the_lungs_is_found_there(bundle: Bundle, make_table: Callable[..., Path], tmp_path: Path) -> None:
    boxes = _boxes(tmp_path, "0,40,16,12,12", "1,12,20,12,12")
    found = explain(bundle, _table(make_table(), bundle), boxes=boxes, options=QUICK)
    ratio = found.find("lung_enrichment", "sample")
    assert ratio is not None
    assert (ratio.estimate.estimate or 0.0) > 1.2
    pointing = found.find("pointing_near", "boxes")
    assert pointing is not None
    assert pointing.estimate.films == 2
    assert found.find("box_enrichment", "boxes").estimate.estimate > 2.0  # type: ignore[union-attr,operator]  # measured
    assert {one.subject: one.verdict for one in findings(found)}["Lungs"] == "for"
    assert {one.name for one in found.detectors} == {"class_map", "lung_centres", "average_box"}


def test_shares_are_those_of_the_networks_arithmetic(bundle: Bundle, make_table: Callable[..., Path]) -> None:
    import cv2  # noqa: PLC0415 - the same enlargement, on a map made here

    from carina.imaging import Standardisation, standardise  # noqa: PLC0415 - the network's input

    table = _table(make_table(), bundle)
    found = explain(bundle, table, options=QUICK)
    record = found.records[3]
    film = cv2.imread(str(table.paths[3]), cv2.IMREAD_GRAYSCALE).astype(np.float32) / np.float32(255)
    small = standardise(film, Standardisation(size=32)) / 255.0
    raw = small.reshape(4, 8, 4, 8).mean(axis=(1, 3)).astype(np.float32)
    heat = cv2.resize(raw, (32, 32), interpolation=cv2.INTER_LINEAR)
    lungs = np.zeros((32, 32), bool)
    lungs[6:26, 4:14] = lungs[6:26, 18:28] = True
    assert record.values["lung_share"] == pytest.approx(heat[lungs].sum() / heat.sum(), rel=1e-4)
    assert record.values["lung_area"] == pytest.approx(400 / 1024)


def test_the_same_seed_gives_the_same_numbers(bundle: Bundle, make_table: Callable[..., Path]) -> None:
    table = _table(make_table(), bundle)
    assert explain(bundle, table, options=QUICK).to_dict() == explain(bundle, table, options=QUICK).to_dict()


def test_a_masked_model_gets_no_number_for_what_it_cannot_see(
    make_bundle: Callable[..., Path], make_table: Callable[..., Path], tmp_path: Path
) -> None:
    preprocessing = {"size": 32, "framing": "lung_masked", "intensity": "window"}
    bundle = load_bundle(make_bundle(tmp_path / "masked", preprocessing=preprocessing))
    found = explain(bundle, _table(make_table(), bundle), options=QUICK)
    share = found.find("lung_share", "sample")
    assert share is not None
    assert share.estimate.estimate is None
    assert share.note.startswith("by construction")
    assert found.find("deletion", "costly").estimate.estimate is not None  # type: ignore[union-attr]  # measured
    assert "no finding: by construction" in findings(found)[0].sentence


def test_films_without_lungs_are_counted_and_left_out_of_what_needs_them(
    bundle: Bundle, make_table: Callable[..., Path]
) -> None:
    found = explain(bundle, _table(make_table(masks=False), bundle), options=QUICK)
    assert (found.counts["without_lungs"], found.counts["measured"]) == (12, 12)
    share = found.find("lung_share", "sample")
    assert share is not None
    assert share.estimate.estimate is None
    assert share.note == "12 of 12 films have no value"
    assert found.find("deletion_less_random", "costly").estimate.films == 4  # type: ignore[union-attr]  # measured
    assert "No film of the sample had lungs" in findings(found)[0].sentence


def test_a_single_lung_is_counted_apart(bundle: Bundle, make_table: Callable[..., Path]) -> None:
    one = np.zeros((64, 64), np.uint8)
    one[12:52, 8:28] = 255
    found = explain(bundle, _table(make_table(given={2: one}), bundle), options=QUICK)
    assert found.counts["implausible_lungs"] == 1
    assert "lung_share" not in found.records[2].values
    assert found.records[2].flags


def test_a_found_lung_stands_in_for_a_missing_mask(bundle: Bundle, make_table: Callable[..., Path]) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[12:52, 8:28], mask[12:52, 36:56] = 1, 2
    table = _table(make_table(masks=False), bundle)
    found = explain(bundle, table, finder=_Finder(LungFields(mask)), options=QUICK)
    given = explain(bundle, _table(make_table(), bundle), options=QUICK)
    assert found.counts["lungs_found"] == 12
    assert [one.values["lung_share"] for one in found.records] == [one.values["lung_share"] for one in given.records]


def test_a_mask_of_another_size_is_told_and_not_used(bundle: Bundle, make_table: Callable[..., Path]) -> None:
    found = explain(bundle, _table(make_table(given={1: np.full((50, 64), 255, np.uint8)}), bundle), options=QUICK)
    assert found.counts["unusable_masks"] == 1
    assert found.records[1].lungs_from == "none"
    assert any("film '1' was not used" in note and "64 x 64" in note and "64 x 50" in note for note in found.notes)


def test_a_flat_map_is_counted_and_misses_its_box(
    bundle: Bundle, make_table: Callable[..., Path], tmp_path: Path
) -> None:
    table = _table(make_table(pixels={4: np.full((64, 64), 90, np.uint8)}), bundle)
    found = explain(bundle, table, boxes=_boxes(tmp_path, "4,8,8,20,20"), options=QUICK)
    record = found.records[4]
    assert record.flat
    assert (record.values["pointing"], record.values["box_iou"]) == (0.0, 0.0)
    assert "lung_share" not in record.values
    assert not record.curves
    assert found.counts["flat_maps"] == 1


def test_an_unreadable_film_is_told_and_the_rest_measured(bundle: Bundle, make_table: Callable[..., Path]) -> None:
    path = make_table()
    (path.parent / "films/5.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = explain(bundle, _table(path, bundle), options=QUICK)
    assert (found.counts["unreadable"], found.counts["measured"]) == (1, 11)
    assert any("film '5' was left out" in note for note in found.notes)


def test_no_readable_film_is_refused(bundle: Bundle, make_table: Callable[..., Path]) -> None:
    path = make_table(films=2)
    for number in range(2):
        (path.parent / f"films/{number}.png").write_bytes(b"none")
    with pytest.raises(InputError, match="none of 2 could"):
        explain(bundle, _table(path, bundle), options=QUICK)


def test_a_box_outside_its_film_is_refused(bundle: Bundle, make_table: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"row 1 .* leaves its film of 64 x 64"):
        explain(bundle, _table(make_table(), bundle), boxes=_boxes(tmp_path, "1,60,10,20,5"), options=QUICK)


def test_boxes_of_films_outside_the_table_are_refused(
    bundle: Bundle, make_table: Callable[..., Path], tmp_path: Path
) -> None:
    table = _table(make_table(), bundle)
    with pytest.raises(TableError, match="none of the 1 films with boxes"):
        plan_films(bundle, table, _boxes(tmp_path, "absent,1,1,2,2"), QUICK)


def test_films_of_training_patients_are_left_out(
    make_bundle: Callable[..., Path], make_table: Callable[..., Path], tmp_path: Path
) -> None:
    films = {"perceptual_hashes": [], "patients": [patient_key("p0"), patient_key("p3")]}
    bundle = load_bundle(make_bundle(tmp_path / "trained", training={"films": films}))
    table = _table(make_table(), bundle)
    plan = plan_films(bundle, table, _boxes(tmp_path, "0,1,1,5,5", "2,1,1,5,5"), QUICK)
    assert plan.rows == (2, 3, 4, 5, 8, 9, 10, 11)
    assert plan.boxed == (2,)
    assert any("4 of 12 films were left out" in note for note in plan.notes)
    everyone = plan_films(bundle, table, None, ExplainOptions(films=12, with_training_films=True))
    assert len(everyone.rows) == 12


def test_a_table_of_training_patients_alone_is_refused(
    make_bundle: Callable[..., Path], make_table: Callable[..., Path], tmp_path: Path
) -> None:
    films = {"perceptual_hashes": [], "patients": [patient_key(f"p{number}") for number in range(6)]}
    bundle = load_bundle(make_bundle(tmp_path / "trained", training={"films": films}))
    with pytest.raises(TableError, match="all 12 films of the table are of its training patients"):
        plan_films(bundle, _table(make_table(), bundle), None, QUICK)


def test_films_are_drawn_evenly_and_patients_before_second_films(
    bundle: Bundle, make_table: Callable[..., Path]
) -> None:
    table = _table(make_table(films=40, masks=False), bundle)
    plan = plan_films(bundle, table, None, ExplainOptions(films=16, costly_films=4))
    strata = [(table.sources[row], table.labels[row]) for row in plan.sampled]
    assert {strata.count(one) for one in strata} == {2}
    assert set(plan.costly) <= set(plan.sampled)
    assert len(plan.costly) == 4


def test_every_number_reaches_the_files(bundle: Bundle, make_table: Callable[..., Path], tmp_path: Path) -> None:
    found = explain(bundle, _table(make_table(), bundle), boxes=_boxes(tmp_path, "0,40,16,12,12"), options=QUICK)
    write_explanation(found, tmp_path / "out")
    stored = json.loads((tmp_path / "out/explain.json").read_text("utf-8"))
    assert stored["films"] == found.counts
    assert len(stored["measures"]) == len(found.measures)
    assert all(
        {"estimate", "low", "high", "films", "patients", "method", "sentence"} <= set(one) for one in stored["measures"]
    )
    with (tmp_path / "out/films.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert float(rows[3]["lung_share"]) == pytest.approx(found.records[3].values["lung_share"], rel=1e-5)
    assert {kind.name for kind in MEASURES} <= set(rows[0])


def test_measured_values_all_have_a_sentence(bundle: Bundle, make_table: Callable[..., Path], tmp_path: Path) -> None:
    found: Explanation = explain(
        bundle, _table(make_table(), bundle), boxes=_boxes(tmp_path, "0,40,16,12,12", "3,12,12,12,12"), options=QUICK
    )
    known = {kind.name for kind in MEASURES}
    assert {name for record in found.records for name in record.values} <= known
    optional = {kind.name for kind in MEASURES if kind.optional}
    assert {one.measure for one in found.measures} == known - optional
