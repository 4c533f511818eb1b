"""Phantom films: known to the pixel, alike but for the disease, and shaped like a chest."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from carina.imaging.phantom import LABELS, Phantom, Signature, phantom_film

SEEDS = (0, 1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def films() -> dict[tuple[str, int], Phantom]:
    return {(label, seed): phantom_film(seed, label=label, size=192) for label in LABELS for seed in SEEDS}


def test_same_seed_gives_the_same_bytes(films: dict[tuple[str, int], Phantom]) -> None:
    again = phantom_film(3, label="covid19", size=192)
    assert again.pixels.tobytes() == films["covid19", 3].pixels.tobytes()


def test_pixels_fill_the_unit_range(films: dict[tuple[str, int], Phantom]) -> None:
    for phantom in films.values():
        assert phantom.pixels.dtype == np.float32
        assert 0 <= phantom.pixels.min() < 0.1
        assert 0.9 < phantom.pixels.max() <= 1


@pytest.mark.parametrize("label", ["bacterial", "viral", "covid19"])
def test_matched_pair_has_one_anatomy_and_differs_where_the_fluid_lies(
    films: dict[tuple[str, int], Phantom], label: str
) -> None:
    for seed in SEEDS:
        sick, well = films[label, seed], films["normal", seed]
        assert (sick.age_years, sick.sex, sick.view) == (well.age_years, well.sex, well.view)
        assert np.array_equal(sick.right_lung, well.right_lung)
        planted = np.asarray(sick.opacity)
        near = cv2.dilate((sick.fluid_cm > 0).astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
        difference = sick.pixels - well.pixels
        assert difference[planted].mean() > 0.02
        if (~near).any():  # unsharpness carries the opacity a few pixels beyond the fluid
            assert np.abs(difference[~near]).max() < 0.01


@pytest.mark.parametrize("label", ["bacterial", "viral", "covid19"])
def test_mask_lies_within_the_lung_fields_and_the_boxes_hold_it(
    films: dict[tuple[str, int], Phantom], label: str
) -> None:
    for seed in SEEDS:
        phantom = films[label, seed]
        assert phantom.opacity.any()
        assert not (phantom.opacity & ~(phantom.right_lung | phantom.left_lung)).any()
        covered = np.zeros_like(phantom.opacity)
        for x, y, w, h in phantom.boxes:
            part = phantom.opacity[y : y + h, x : x + w]
            assert part.shape == (h, w)
            # Tight: every side of the box touches the mask.
            assert part[0].any()
            assert part[-1].any()
            assert part[:, 0].any()
            assert part[:, -1].any()
            covered[y : y + h, x : x + w] = True
        assert (phantom.opacity & covered).sum() >= 0.9 * phantom.opacity.sum()


def test_normal_film_has_neither_mask_nor_box(films: dict[tuple[str, int], Phantom]) -> None:
    for seed in SEEDS:
        phantom = films["normal", seed]
        assert not phantom.opacity.any()
        assert phantom.boxes == ()
        assert phantom.where == ""


def test_patients_right_lung_lies_on_the_films_left(films: dict[tuple[str, int], Phantom]) -> None:
    for seed in SEEDS:
        phantom = films["normal", seed]
        assert np.nonzero(phantom.right_lung)[1].mean() < np.nonzero(phantom.left_lung)[1].mean()
        assert not (phantom.right_lung & phantom.left_lung).any()


def test_each_lung_field_is_one_piece_of_plausible_size() -> None:
    # One lung covers 6 to 25 % of a frontal film: a lung of 24 by 11 cm, outlined less a quarter for its round corners
    # and the heart, is 12 to 20 % of films of 40 to 32 cm; children and small lungs less.
    for seed in range(24):
        phantom = phantom_film(seed, size=128)
        for lung in (phantom.right_lung, phantom.left_lung):
            count, _, stats, _ = cv2.connectedComponentsWithStats(lung.astype(np.uint8))
            areas = sorted((int(stats[i, cv2.CC_STAT_AREA]) for i in range(1, count)), reverse=True)
            assert areas[0] >= 0.99 * sum(areas)
            assert 0.06 < lung.mean() < 0.25


def test_lungs_are_darker_than_what_lies_between_them(films: dict[tuple[str, int], Phantom]) -> None:
    for seed in SEEDS:
        phantom = films["normal", seed]
        lungs = phantom.right_lung | phantom.left_lung
        rows, columns = np.nonzero(lungs)
        between = np.zeros_like(lungs)
        between[int(np.median(rows)) :, int(columns.mean()) - 6 : int(columns.mean()) + 6] = True
        assert np.median(phantom.pixels[lungs]) < np.median(phantom.pixels[between & ~lungs]) - 0.3


def test_heart_lies_to_the_patients_left(films: dict[tuple[str, int], Phantom]) -> None:
    for seed in SEEDS:
        phantom = films["normal", seed]
        assert phantom.left_lung.sum() < phantom.right_lung.sum()


def test_bacterial_opacity_is_one_sided_and_the_others_are_on_both() -> None:
    for seed in range(12):
        for label, sides in (("bacterial", 1), ("viral", 2), ("covid19", 2)):
            phantom = phantom_film(seed, label=label, size=128)
            touched = [bool((phantom.opacity & lung).any()) for lung in (phantom.right_lung, phantom.left_lung)]
            assert sum(touched) == sides, (seed, label)


def test_covid_lies_lower_and_further_out_than_viral() -> None:
    def place(label: str) -> tuple[float, float]:
        down, out = [], []
        for seed in range(12):
            phantom = phantom_film(seed, label=label, size=128)
            rows, columns = np.nonzero(phantom.opacity)
            lungs = np.nonzero(phantom.right_lung | phantom.left_lung)
            down.append((rows.mean() - lungs[0].min()) / np.ptp(lungs[0]))
            out.append(np.abs(columns - lungs[1].mean()).mean() / np.ptp(lungs[1]))
        return float(np.mean(down)), float(np.mean(out))

    covid, viral = place("covid19"), place("viral")
    assert covid[0] > viral[0] + 0.05
    assert covid[1] > viral[1] + 0.05


def test_severity_makes_the_opacity_larger() -> None:
    for label in ("bacterial", "viral", "covid19"):
        slight, extensive = (phantom_film(5, label=label, size=128, severity=s).fluid_cm.sum() for s in (0.0, 1.0))
        assert extensive > 1.2 * slight


def test_films_of_one_patient_differ_only_in_the_exposure() -> None:
    first, second = (phantom_film(8, label="bacterial", size=128, film=film) for film in (0, 1))
    assert np.array_equal(first.opacity, second.opacity)
    assert not np.array_equal(first.pixels, second.pixels)


def test_given_demographics_are_kept() -> None:
    phantom = phantom_film(4, size=64, age=6, sex="M")
    assert (phantom.age_years, phantom.sex, phantom.view) == (6, "M", "AP")
    assert phantom.parameters["anatomy"]["child"] is True  # type: ignore[index]  # recorded as plain data


def test_ages_and_sexes_do_not_depend_on_the_class(films: dict[tuple[str, int], Phantom]) -> None:
    for seed in SEEDS:
        assert len({(films[label, seed].age_years, films[label, seed].sex) for label in LABELS}) == 1


def test_signature_changes_the_film_and_not_the_truth() -> None:
    plain = phantom_film(2, label="covid19", size=128)
    other = phantom_film(
        2, label="covid19", size=128, signature=Signature(gamma=0.6, border=0.05, marker="L", blur_cm=0.2, noise=3)
    )
    assert np.array_equal(plain.opacity, other.opacity)
    assert other.pixels[0].max() < 0.05
    assert other.pixels[64, 20:108].mean() > plain.pixels[64, 20:108].mean()


def test_blur_lowers_the_fine_detail() -> None:
    def detail(blur_cm: float) -> float:
        pixels = phantom_film(2, size=256, signature=Signature(blur_cm=blur_cm, noise=0)).pixels
        return float(cv2.Laplacian(pixels, cv2.CV_32F)[64:192, 64:192].std())

    assert detail(0.3) < 0.6 * detail(0.0)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"label": "tuberculosis"}, "tuberculosis"),
        ({"size": 63}, "63"),
        ({"severity": 1.5}, "1.5"),
        ({"sex": "X"}, "'X'"),
        ({"age": -1}, "-1"),
        ({"film": -1}, "-1"),
    ],
)
def test_argument_out_of_range_is_named(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        phantom_film(1, **arguments)  # type: ignore[arg-type]  # wrong on purpose


def test_signature_out_of_range_is_named() -> None:
    with pytest.raises(ValueError, match="gamma"):
        Signature(gamma=0)
    with pytest.raises(ValueError, match="marker"):
        Signature(marker="\u00c4")
