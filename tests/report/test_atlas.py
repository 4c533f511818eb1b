"""The atlas: which films and features it shows, and what its numbers are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import percentileofscore

from carina.errors import InputError, TableError
from carina.evidence.signature_effects import feature_effects
from carina.evidence.signature_table import SignatureTable
from carina.imaging.lung_fields import ZONES, from_mask
from carina.report.atlas_figures import effect_forest, volcano_figure
from carina.report.atlas_films import FilmShelf, choose_films, choose_shown
from carina.report.atlas_numbers import film_places, reference_rows, spreads, unusual, zone_rows
from carina.report.atlas_page import AtlasOptions, FoundSignature, write_atlas, write_sheet
from carina.report.atlas_signature import read_signature
from carina.texture import TextureSettings

NAMES = (
    "lungs.original_firstorder_Mean",
    "lungs.original_glcm_Contrast",
    "lungs.original_shape2D_Sphericity",
    *(f"{zone}.original_firstorder_Mean" for zone in ZONES),
)


class NoFinder:
    """Stands where films are not at hand and lungs are never looked for."""


class BoxFinder:
    """Finds two boxes on every film."""

    def find(self, film: object) -> object:
        pixels = film.pixels  # type: ignore[attr-defined]  # a film
        mask = np.zeros(pixels.shape, bool)
        rows, columns = pixels.shape
        mask[rows // 6 : 5 * rows // 6, columns // 8 : 3 * columns // 8] = True
        mask[rows // 6 : 5 * rows // 6, 5 * columns // 8 : 7 * columns // 8] = True
        return from_mask(mask)


def table(films: int = 30) -> SignatureTable:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({
        "image_id": [f"f{number}" for number in range(films)],
        "patient_id": [f"p{number // 2}" for number in range(films)],
        "label": ["normal" if number % 4 < 2 else "viral" for number in range(films)],
        "source": ["a"] * films,
    })  # fmt: skip
    return SignatureTable(frame, NAMES, rng.normal(size=(films, len(NAMES))))


def shelf() -> FilmShelf:
    return FilmShelf({}, TextureSettings(), NoFinder())  # type: ignore[arg-type]  # no film is read


def test_films_shown_are_lowest_median_and_highest_of_three_patients() -> None:
    films = table(9)
    films.values[:, 0] = [5, 1, 2, 9, 3, 4, 6, 7, 8]
    shown = choose_films(films, NAMES[0])
    assert [(one.place, one.value) for one in shown] == [("lowest", 1.0), ("median", 5.0), ("highest", 9.0)] or (
        len({films.column("patient_id")[one.row] for one in shown}) == 3
    )
    assert shown[1].value == 5.0


def test_a_named_feature_without_region_is_that_of_both_lungs_and_an_unknown_one_is_refused() -> None:
    assert choose_shown(table(), ["original_glcm_Contrast"], [], 5) == ["lungs.original_glcm_Contrast"]
    with pytest.raises(TableError, match="unknown are"):
        choose_shown(table(), ["original_glcm_Nonsense"], [], 5)


def test_one_feature_stands_for_its_regions_among_the_strongest() -> None:
    strongest = [NAMES[3], NAMES[4], NAMES[1]]
    assert choose_shown(table(), [], strongest, 5) == [NAMES[3], NAMES[1]]


def test_percentiles_are_scipys_and_the_reference_has_no_film_of_the_same_patient() -> None:
    films = table()
    rows = reference_rows(films, "f3", None, None)
    assert not {"f2", "f3"} & {str(films.column("image_id")[row]) for row in rows.tolist()}
    placed = film_places(films, "f3", rows)
    others = films.values[rows, 1]
    assert placed[1].percentile == pytest.approx(percentileofscore(others, films.values[3, 1], "mean"))
    assert placed[1].z == pytest.approx((films.values[3, 1] - others.mean()) / others.std(ddof=1))


def test_a_reference_of_a_label_holds_only_that_label_and_too_few_films_are_refused() -> None:
    films = table(60)
    rows = reference_rows(films, "f3", "normal", None)
    assert set(films.column("label")[rows].tolist()) == {"normal"}
    with pytest.raises(TableError, match="at least 10 films"):
        reference_rows(table(12), "f3", "normal", None)
    with pytest.raises(TableError, match="found 'nobody'"):
        reference_rows(films, "nobody", None, None)


def test_zone_means_are_in_standard_deviations_of_their_zone() -> None:
    films = table()
    row = next(row for row in zone_rows(films, NAMES[0]) if row.group == "normal")
    column = films.values[:, 3]
    wanted = ((column - column.mean()) / column.std())[films.column("label") == "normal"].mean()
    assert row.means[0] == pytest.approx(wanted)


def test_spreads_are_quantiles_of_each_group() -> None:
    films = table()
    own = films.values[films.column("label") == "viral", 0]
    found = next(one for one in spreads(films, NAMES[0]) if one.group == "viral")
    assert found.quantiles == pytest.approx(np.quantile(own, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist())


def test_the_most_unusual_come_first_and_one_of_a_kind() -> None:
    films = table()
    films.values[3, 4], films.values[3, 5] = 99.0, 30.0
    found = unusual(film_places(films, "f3", reference_rows(films, "f3", None, None)), 3)
    assert found[0].feature == NAMES[4]
    assert NAMES[5] not in {one.feature for one in found}


def test_the_atlas_is_one_file_that_fetches_and_runs_nothing(tmp_path: Path) -> None:
    films = table()
    effects = feature_effects(
        films.values, NAMES, films.column("label") == "viral", films.column("patient_id"), films.column("source")
    )
    signature = FoundSignature("pneumonia", "not shown", ("It is <b>not</b> shown.",), tuple(effects), frozenset(NAMES))
    page = write_atlas(films, shelf(), tmp_path, AtlasOptions(most=2), signature=signature)
    text = page.read_text("utf-8")
    assert text.count('class="feature"') == 2
    assert "The film is not at hand" in text
    assert "It is &lt;b&gt;not&lt;/b&gt; shown." in text
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", text)
    assert "default-src &#39;none&#39;" in text
    assert " style=" not in text
    assert "var(--" not in (tmp_path / "signature-forest.svg").read_text("utf-8")


def test_a_film_at_hand_is_shown_with_a_map_where_the_feature_has_one(tmp_path: Path) -> None:
    import cv2  # noqa: PLC0415 - this test alone

    rng = np.random.default_rng(2)
    cv2.imwrite(str(tmp_path / "film.png"), rng.integers(0, 256, (240, 240)).astype(np.uint8))
    real = FilmShelf({"f0": tmp_path / "film.png"}, TextureSettings(wavelets=False, sigmas=()), BoxFinder())  # type: ignore[arg-type]  # finds boxes
    picture, mapped = real.picture("f0", "lungs.original_glcm_Contrast", 120, 2)
    assert mapped
    assert str(picture).startswith("data:image/jpeg;base64,")
    assert real.picture("f0", "lungs.original_shape2D_Sphericity", 120, 2)[1] is False
    assert real.picture("f0", "left_upper.scale-2_firstorder_Mean", 120, 2)[1] is True
    assert real.picture("gone", "lungs.original_glcm_Contrast", 120, 2) == (None, False)


def test_the_sheet_of_a_film_names_it_and_its_reference(tmp_path: Path) -> None:
    text = write_sheet(table(60), shelf(), "f3", tmp_path, AtlasOptions(reference_label="normal")).read_text("utf-8")
    assert "Texture sheet of f3" in text
    assert re.search(r"\d+ films of \d+ other patients", text)
    assert " style=" not in text


def test_figures_of_nothing_are_not_drawn() -> None:
    assert effect_forest([], set()) is None
    assert volcano_figure([], set()) is None


def test_a_folder_that_is_no_signature_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="carina signature"):
        read_signature(tmp_path)
