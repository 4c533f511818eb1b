"""Phantom CT slices: known structures at the Hounsfield units of their tissue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from carina.imaging import read_film
from carina.imaging.phantom_slices import SLICE_LABELS, SliceCollection, phantom_slice, write_slices


def test_air_lung_and_soft_tissue_have_the_hounsfield_units_of_textbooks() -> None:
    made = phantom_slice(5, size=256)
    corner = made.hounsfield[:20, :20].mean()
    lung = np.median(made.hounsfield[made.lungs])
    assert corner == pytest.approx(-1000, abs=5)  # air, by definition of the scale
    assert -900 < lung < -700  # aerated lung
    assert made.hounsfield[128, 128] > -50  # mediastinum or lung border, never air


def test_slices_of_one_patient_differ_within_the_opacity_alone() -> None:
    clear = phantom_slice(9, size=128)
    for label in SLICE_LABELS[1:]:
        sick = phantom_slice(9, label=label, size=128)
        assert sick.opacity.any()
        assert not (sick.opacity & ~sick.lungs).any()
        assert not (sick.hounsfield != clear.hounsfield)[~sick.opacity].any()
        assert (sick.hounsfield >= clear.hounsfield).all()


def test_consolidation_is_denser_than_ground_glass() -> None:
    dense, hazy = (phantom_slice(4, label=label) for label in ("consolidation", "ground_glass"))
    assert np.median(dense.hounsfield[dense.opacity]) > -300
    assert -800 < np.median(hazy.hounsfield[hazy.opacity]) < -350  # ground glass is less than soft tissue


def test_a_collection_is_the_same_bytes_twice_and_can_be_read(tmp_path: Path) -> None:
    tables = [write_slices(SliceCollection(tmp_path / name, 4, size=64)) for name in ("a", "b")]
    first = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.png"))
    assert len(first) == 8
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in first)
    assert tables[0].read_bytes() == tables[1].read_bytes()
    rows = tables[0].read_text().splitlines()
    assert [row.split(",")[1] for row in rows[1:]] == ["clear", "ground_glass", "consolidation", "clear"]
    film = read_film(tmp_path / "a" / rows[1].split(",")[0])
    assert film.pixels.shape == (64, 64)


@pytest.mark.parametrize("changes", [{"label": "tumour"}, {"size": 8}])
def test_arguments_out_of_range_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="found"):
        phantom_slice(1, **changes)  # type: ignore[arg-type] # a test's mixed values
