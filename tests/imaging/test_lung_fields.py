"""Lung fields by hand: sides, zones, cuts, flags and files, with expected values drawn, not computed."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from carina.errors import InputError
from carina.imaging.lung_checks import LIMITS, check_fields, measure_fields
from carina.imaging.lung_fields import (
    LEFT,
    RIGHT,
    ZONES,
    LungFields,
    decode_mask,
    encode_mask,
    flipped,
    from_mask,
    heart,
    zones,
)
from carina.imaging.lung_medial import HEIGHTS, PRIOR, medial_shares
from carina.imaging.phantom import phantom_film


def _two_lungs(*, touching: bool = False) -> np.ndarray:
    """100 x 120, the right lung in columns 15 to 49, the left in 65 to 104, rows 20 to 79."""
    mask = np.zeros((100, 120), bool)
    mask[20:80, 15:50] = mask[20:80, 65:105] = True
    if touching:
        mask[70:76, 50:65] = True
    return mask


def test_the_patients_right_lung_is_the_one_on_the_films_left() -> None:
    fields = from_mask(_two_lungs())
    assert np.array_equal(fields.mask == RIGHT, _two_lungs() & (np.arange(120) < 60))
    assert np.array_equal(fields.mask == LEFT, _two_lungs() & (np.arange(120) >= 60))
    assert fields.plausible


def test_lungs_that_touch_are_cut_where_they_touch() -> None:
    fields = from_mask(_two_lungs(touching=True))
    apart = from_mask(_two_lungs())
    assert (fields.mask != apart.mask).sum() <= 6 * 15  # nothing but the bridge may differ
    assert fields.plausible


def test_lungs_of_a_turned_film_are_cut_along_their_slant() -> None:
    turn = cv2.getRotationMatrix2D((60, 50), 20, 1.0)
    both = cv2.warpAffine(_two_lungs().astype(np.uint8), turn, (120, 100))
    right = cv2.warpAffine((_two_lungs() & (np.arange(120) < 60)).astype(np.uint8), turn, (120, 100))
    found = from_mask(both).mask
    assert np.array_equal(found == RIGHT, right > 0)


def test_the_phantoms_lungs_keep_their_sides() -> None:
    phantom = phantom_film(3, size=160)
    fields = from_mask(phantom.right_lung | phantom.left_lung)
    for side, truth in ((RIGHT, phantom.right_lung), (LEFT, phantom.left_lung)):
        assert ((fields.mask == side) & truth).sum() > 0.98 * truth.sum()


def test_specks_go_and_holes_are_filled() -> None:
    mask = _two_lungs()
    mask[40:44, 30:34] = False
    mask[92:95, 10:14] = True
    fields = from_mask(mask)
    assert bool((fields.mask[40:44, 30:34] == RIGHT).all())
    assert not fields.mask[92:95, 10:14].any()
    assert fields.plausible


def test_many_fragments_are_flagged() -> None:
    mask = _two_lungs()
    mask[85:95, 15:105] = True  # 900 of 5400 pixels
    assert any("fragments" in flag for flag in from_mask(mask).flags)


def test_a_single_lung_has_its_side_and_a_flag() -> None:
    for side, columns, name in ((RIGHT, slice(15, 50), "right"), (LEFT, slice(65, 105), "left")):
        mask = np.zeros((100, 120), bool)
        mask[20:80, columns] = True
        fields = from_mask(mask)
        assert set(np.unique(fields.mask)) == {0, side}
        assert fields.flags == (f"only the patient's {name} lung field was found",)
        assert fields.box == (columns.start, 20, columns.stop - columns.start, 60)


def test_an_empty_mask_is_no_lung_and_says_so() -> None:
    fields = from_mask(np.zeros((20, 30), bool))
    assert (fields.flags, fields.plausible, fields.box) == (("no lung field was found",), False, None)
    assert not zones(fields).any()
    assert not heart(fields).any()


def test_a_mask_of_another_size_is_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match=r"film's size, 130 x 100 pixels; found 120 x 100"):
        from_mask(_two_lungs(), (100, 130))
    with pytest.raises(InputError, match="rows and columns"):
        from_mask(np.zeros((4, 4, 3)))
    with pytest.raises(InputError, match=r"found 120 x 100"):
        decode_mask(encode_mask(from_mask(_two_lungs())), (50, 60))


def test_zones_are_thirds_of_each_lungs_own_height() -> None:
    mask = np.zeros((100, 120), np.uint8)
    mask[10:40, 20:50] = RIGHT  # 30 rows
    mask[40:100, 70:100] = LEFT  # 60 rows
    found = zones(LungFields(mask))
    assert [np.unique(found[row, 30]).tolist() for row in (10, 19, 20, 29, 30, 39)] == [[1], [1], [2], [2], [3], [3]]
    assert [int(found[row, 80]) for row in (40, 59, 60, 79, 80, 99)] == [4, 4, 5, 5, 6, 6]
    assert ZONES[3] == "left_upper"
    assert np.array_equal(found > 0, mask > 0)


def test_a_mirrored_film_swaps_sides_and_keeps_pixels() -> None:
    fields = from_mask(_two_lungs())
    medial = PRIOR.copy()
    turned = flipped(LungFields(fields.mask, (), medial))
    assert np.array_equal(turned.mask == RIGHT, (fields.mask == LEFT)[:, ::-1])
    assert turned.medial is not None
    assert np.array_equal(turned.medial[0], medial[1])
    assert np.array_equal(flipped(turned).mask, fields.mask)


def test_the_heart_lies_medially_and_mostly_on_the_left() -> None:
    fields = from_mask(_two_lungs())
    part = heart(fields)
    assert not (part & (fields.mask == 0)).any()
    assert part[75, 65]
    assert not part[75, 104]
    assert (part & (fields.mask == LEFT)).sum() > 2 * (part & (fields.mask == RIGHT)).sum()
    assert part[70:80].sum() > 2 * part[20:30].sum()


def test_the_hearts_share_is_the_run_without_air_from_the_medial_edge() -> None:
    mask = from_mask(_two_lungs()).mask
    air = np.ones(mask.shape, np.float32)
    air[50:80, 65:81] = 0.0  # 16 of the left lung's 40 columns, its lower half
    air[50:80, 100:105] = 0.0  # dark at the lateral edge is no heart
    shares = medial_shares(mask, air)
    assert shares[1, -1] == pytest.approx(0.4)
    assert shares[1, 0] == 0.0
    assert not shares[0].any()
    found = heart(LungFields(mask, (), shares))
    assert (int(found[70].sum()), bool(found[70, 80]), bool(found[70, 81])) == (16, True, False)


def test_where_no_heart_border_is_seen_the_average_stands_in() -> None:
    mask = from_mask(_two_lungs()).mask
    shares = medial_shares(mask, np.zeros(mask.shape, np.float32))
    assert shares.shape == (2, HEIGHTS)
    assert np.array_equal(shares, PRIOR)


def test_the_phantoms_heart_is_met_by_shares_measured_on_it() -> None:
    phantom = phantom_film(5, size=160, child=False)
    aired = phantom.right_lung | phantom.left_lung
    whole = np.zeros((160, 160), np.uint8)
    for side, lung in ((RIGHT, phantom.right_lung), (LEFT, phantom.left_lung)):
        for row in np.flatnonzero(lung.any(axis=1)):
            columns = np.flatnonzero(lung[row])
            whole[row, columns[0] : columns[-1] + 1] = side
    shares = medial_shares(whole, aired.astype(np.float32))
    covered_air = heart(LungFields(whole, (), shares)) & aired
    assert covered_air.sum() < 0.03 * aired.sum()


def test_a_mask_survives_its_file_and_the_file_is_indexed() -> None:
    fields = from_mask(_two_lungs())
    data = encode_mask(fields)
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.mode, picture.size) == ("P", (120, 100))
        assert picture.getpalette()[3:6] == [230, 159, 0]
    assert np.array_equal(decode_mask(data, (100, 120)).mask, fields.mask)


@pytest.mark.parametrize("kind", ["garbage", "truncated", "grey", "values"])
def test_files_that_hold_no_mask_are_refused(kind: str) -> None:
    data = encode_mask(from_mask(_two_lungs()))
    if kind in {"grey", "values"}:
        picture = Image.fromarray(np.full((8, 8), 3, np.uint8), "L")
        if kind == "values":
            picture.putpalette([0, 0, 0] * 4)
        file = io.BytesIO()
        picture.save(file, "PNG")
        data = file.getvalue()
    broken = {"garbage": b"not a picture", "truncated": data[: len(data) // 2]}.get(kind, data)
    with pytest.raises(InputError, match="a lung mask"):
        decode_mask(broken)


Box = tuple[int, int, int, int]


@pytest.mark.parametrize(
    ("shape", "right", "left", "sentence"),
    [
        ((100, 120), (20, 80, 15, 50), (20, 80, 65, 105), ""),
        ((300, 300), (100, 160, 90, 125), (100, 160, 160, 195), "cover 5% of the film; 12% to 85%"),
        ((100, 120), (20, 80, 15, 50), (30, 70, 70, 95), "smaller lung field has 48%"),
        ((100, 120), (20, 80, 15, 50), (35, 65, 65, 125), "shorter lung field has 50%"),
        ((100, 160), (20, 80, 5, 40), (20, 80, 50, 90), "middle lies at 29% of the film's width"),
        ((200, 120), (130, 190, 15, 50), (130, 190, 65, 105), "middle lies at 80% of the film's height"),
        ((100, 120), (20, 80, 65, 105), (20, 80, 15, 50), "lie -44% of the film's width apart"),
        ((100, 120), (5, 55, 15, 50), (40, 90, 65, 105), "35% of the film's height above the other"),
        ((60, 90), (0, 60, 0, 35), (0, 60, 50, 90), "lies on the film's border"),
    ],
)
def test_fields_beyond_belief_are_flagged(shape: tuple[int, int], right: Box, left: Box, sentence: str) -> None:
    mask = np.zeros(shape, np.uint8)
    for side, (top, bottom, first, last) in ((RIGHT, right), (LEFT, left)):
        mask[top:bottom, first:last] = side
    flags = check_fields(mask)
    assert (sentence in " ".join(flags)) if sentence else flags == ()


def test_a_hollow_field_is_flagged() -> None:
    mask = from_mask(_two_lungs()).mask
    mask[30:80, 70:100] = 0
    assert any("convex hull" in flag for flag in check_fields(mask))


def test_the_limits_follow_their_rule_on_the_outlined_films(films_folder: Path) -> None:
    with (films_folder / "cxr/images.csv").open(encoding="utf-8") as stream:
        masks = [row["lung_mask"] for row in csv.DictReader(stream) if row["lung_mask"]]
    found = [
        measure_fields(from_mask(cv2.imread(str(films_folder / "cxr" / mask), cv2.IMREAD_GRAYSCALE)).mask)
        for mask in masks
    ]
    assert len(found) == 109
    for name in set(LIMITS) - {"dropped", "unsure", "area"}:
        values = [one[name] for one in found]
        half = (max(values) - min(values)) / 2
        low, high = LIMITS[name]
        assert low == pytest.approx(max(0.0, min(values) - half), abs=0.02), name
        assert high == pytest.approx(min(1.0, max(values) + half), abs=0.02), name
    areas = np.log([one["area"] for one in found])
    assert np.log(LIMITS["area"][0]) == pytest.approx(areas.min() - (areas.max() - areas.min()) / 2, abs=0.05)
