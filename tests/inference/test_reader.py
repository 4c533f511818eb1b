"""One film through a bundle, against the same arithmetic in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from carina.errors import BundleError, OutputError, SettingsError
from carina.imaging import Standardisation, standardise
from carina.inference import (
    Bundle,
    FilmSource,
    LayerOptions,
    Reader,
    complete_prevalence,
    load_bundle,
    parse_prevalence,
)
from carina.inference.sources import HEATMAPS
from carina.types import Film, Quality

_WEIGHTS = np.array([[-3.0, 2.0, 1.0, 0.5], [3.0, -1.0, 0.5, 0.0]])
_BIAS = np.array([0.1, 0.0, -0.1, 0.2])
_MIX = np.array([0.4, 0.3, 0.2, 0.1])


class _Gate:
    """Refuses, or turns by half, whatever it is shown."""

    def __init__(self, *, accepted: bool) -> None:
        self.accepted = accepted

    def check(self, film: Film) -> tuple[Film, Quality]:
        if not self.accepted:
            return film, Quality(accepted=False, reasons=("this is a photograph",), scores={"whole": float("nan")})
        turned = replace(film, pixels=np.ascontiguousarray(film.pixels[::-1, ::-1]))
        return turned, Quality(accepted=True, corrected=("rotated_180",))


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return load_bundle(tiny_bundle)


@pytest.fixture
def film(make_film: Callable[..., Path], tmp_path: Path) -> Path:
    return make_film(tmp_path / "film.png", seed=3)


def _network_input(path: Path) -> np.ndarray:
    pixels = np.asarray(Image.open(path), dtype=np.float32) / np.float32(255.0)
    return standardise(pixels, Standardisation(size=32)) / 255.0


def _expected(path: Path) -> np.ndarray:
    """Probabilities at temperature 2 for normal against pneumonia and 1/2 within pneumonia."""
    mean = _network_input(path).mean()
    logits = np.array([mean, 1.0 - mean]) @ _WEIGHTS + _BIAS
    pneumonia = np.log(np.exp(logits[1:]).sum())
    share = 1.0 / (1.0 + np.exp((logits[0] - pneumonia) / 2.0))
    within = np.exp(logits[1:] * 2.0)
    return np.array([1.0 - share, *(share * within / within.sum())])


def _source(path: Path, ages: tuple[float, float] | None = None) -> FilmSource:
    return FilmSource(str(path), ages=ages)


def test_probabilities_are_those_computed_by_hand(bundle: Bundle, film: Path) -> None:
    reading = Reader(bundle, gate=None).read(_source(film))
    assert reading.error is None
    assert reading.probabilities is not None
    assert list(reading.probabilities) == ["normal", "bacterial", "viral", "covid19"]
    expected = _expected(film)
    np.testing.assert_allclose(list(reading.probabilities.values()), expected, atol=1e-5)
    assert reading.contrasts is not None
    assert reading.contrasts["pneumonia"] == pytest.approx(1.0 - expected[0], abs=1e-5)
    assert reading.contrasts["covid19_given_pneumonia"] == pytest.approx(expected[3] / expected[1:].sum(), abs=1e-5)


def test_the_prediction_set_holds_the_classes_within_their_quantiles(bundle: Bundle, film: Path) -> None:
    reading = Reader(bundle, gate=None).read(_source(film))
    quantiles = dict(zip(bundle.task.classes, (0.8, 0.9, 0.9, 1.0), strict=True))
    expected = [name for name, p in zip(quantiles, _expected(film), strict=True) if 1.0 - p <= quantiles[name]]
    assert reading.prediction_set == tuple(expected)


def test_the_raw_maps_of_all_classes_are_kept(bundle: Bundle, film: Path, tmp_path: Path) -> None:
    (tmp_path / HEATMAPS).mkdir()
    reading = Reader(bundle, gate=None, layers=LayerOptions(tmp_path, of="viral")).read(_source(film))
    blocks = _network_input(film).reshape(4, 8, 4, 8).mean(axis=(1, 3))
    maps = np.maximum(np.einsum("fhw,fk->khw", np.stack([blocks, 1.0 - blocks]), _WEIGHTS), 0.0)
    assert reading.heatmap_shows is not None
    with np.load(tmp_path / reading.heatmap_shows.maps) as kept:
        np.testing.assert_allclose(kept["class_maps"], maps, atol=1e-5)
        np.testing.assert_allclose(kept["maxima"], maps.max(axis=(1, 2)), atol=1e-5)
        assert kept["classes"].tolist() == list(bundle.task.classes)
    assert reading.heatmap_shows.of == "viral"
    assert reading.heatmap_shows.maximum == pytest.approx(maps[2].max(), abs=1e-5)


def test_the_heatmap_has_the_size_of_the_film(bundle: Bundle, film: Path, tmp_path: Path) -> None:
    (tmp_path / HEATMAPS).mkdir()
    reading = Reader(bundle, gate=None, layers=LayerOptions(tmp_path)).read(_source(film))
    assert reading.heatmap is not None
    with Image.open(tmp_path / reading.heatmap) as picture:
        assert (picture.mode, picture.size) == ("RGB", (48, 40))


def test_the_heatmap_is_drawn_on_the_corrected_film_and_says_so(bundle: Bundle, film: Path, tmp_path: Path) -> None:
    (tmp_path / HEATMAPS).mkdir()
    options = LayerOptions(tmp_path, opacity=0.0)
    reading = Reader(bundle, gate=_Gate(accepted=True), layers=options).read(_source(film))
    assert reading.heatmap is not None
    assert reading.heatmap_shows is not None
    assert reading.heatmap_shows.drawn_on == "corrected_film"
    with Image.open(tmp_path / reading.heatmap) as drawn, Image.open(film) as original:
        np.testing.assert_array_equal(np.asarray(drawn)[..., 0], np.asarray(original)[::-1, ::-1])


def test_a_film_the_gate_refuses_has_a_reason_and_no_probabilities(bundle: Bundle, film: Path, tmp_path: Path) -> None:
    reading = Reader(bundle, gate=_Gate(accepted=False), layers=LayerOptions(tmp_path)).read(_source(film))
    assert (reading.decision, reading.reason, reading.outcome) == ("refused", "this is a photograph", "refused")
    assert reading.probabilities is None
    assert reading.heatmap is None
    assert reading.to_dict()["quality"]["scores"] == {"whole": None}


def test_without_calibration_there_are_probabilities_and_no_decision(
    make_bundle: Callable[..., Path], film: Path, tmp_path: Path
) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "raw", calibration=None))
    reading = Reader(bundle, gate=None).read(_source(film))
    mean = _network_input(film).mean()
    raw = np.exp(np.array([mean, 1.0 - mean]) @ _WEIGHTS + _BIAS)
    assert reading.probabilities is not None
    np.testing.assert_allclose(list(reading.probabilities.values()), raw / raw.sum(), atol=1e-5)
    assert (reading.decision, reading.prediction_set) == ("uncalibrated", None)


@pytest.mark.parametrize(
    ("ages", "decision"),
    [
        (None, "pneumonia_indeterminate"),
        ((3.0, 3.0), "bacterial"),
        ((5.9, 5.9), "bacterial"),  # five completed years
        ((1.0, 5.0), "bacterial"),
        ((1.0, 6.0), "pneumonia_indeterminate"),
        ((0.0, 5.0), "pneumonia_indeterminate"),
        ((40.0, 40.0), "pneumonia_indeterminate"),
    ],
)
def test_a_contrast_decides_within_the_ages_that_trained_it(
    make_bundle: Callable[..., Path],
    film: Path,
    tmp_path: Path,
    ages: tuple[float, float] | None,
    decision: str,
) -> None:
    # Whatever the film, bacterial wins by far; only bacterial against viral is bound to ages 1 to 5.
    folder = make_bundle(tmp_path / "bacterial", bias=np.array([-9.0, 9.0, 0.0, 0.0]))
    assert Reader(load_bundle(folder), gate=None).read(_source(film, ages)).decision == decision


def test_the_heatmap_shows_the_class_decided_on(make_bundle: Callable[..., Path], film: Path, tmp_path: Path) -> None:
    (tmp_path / HEATMAPS).mkdir()
    bundle = load_bundle(make_bundle(tmp_path / "normal", bias=np.array([9.0, 0.0, 0.0, 0.0])))
    reading = Reader(bundle, gate=None, layers=LayerOptions(tmp_path)).read(_source(film))
    assert reading.decision == "normal"
    assert reading.heatmap_shows is not None
    assert reading.heatmap_shows.of == "normal"


def test_a_prevalence_moves_the_probabilities_and_leaves_the_decision(bundle: Bundle, film: Path) -> None:
    wanted = {"normal": 0.7, "bacterial": 0.1, "viral": 0.1, "covid19": 0.1}
    plain = Reader(bundle, gate=None).read(_source(film, (3.0, 3.0)))
    moved = Reader(bundle, gate=None, prevalence=wanted).read(_source(film, (3.0, 3.0)))
    assert moved.probabilities == plain.probabilities
    assert (moved.decision, moved.prediction_set) == (plain.decision, plain.prediction_set)
    ratio = _expected(film) * np.array(list(wanted.values())) / _MIX
    assert moved.probabilities_at_prevalence is not None
    np.testing.assert_allclose(list(moved.probabilities_at_prevalence.values()), ratio / ratio.sum(), atol=1e-5)


def test_a_prevalence_of_some_classes_leaves_the_rest_in_the_class_mix(bundle: Bundle) -> None:
    # 0.8 is left for normal : bacterial : viral = 4 : 3 : 2.
    shares = complete_prevalence(bundle, {"covid19": 0.2})
    np.testing.assert_allclose(list(shares.values()), [0.8 * 4 / 9, 0.8 * 3 / 9, 0.8 * 2 / 9, 0.2])


@pytest.mark.parametrize(
    "prevalence", [{"tuberculosis": 0.1}, {"covid19": 1.2}, {"covid19": -0.1}, {"covid19": float("nan")}]
)
def test_a_prevalence_that_is_none_is_refused(bundle: Bundle, prevalence: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        complete_prevalence(bundle, prevalence)


def test_a_class_that_the_calibration_never_saw_cannot_be_given_a_share(bundle: Bundle) -> None:
    assert bundle.calibration is not None
    mix = {**bundle.calibration.class_mix, "covid19": 0.0}
    without = replace(bundle, calibration=bundle.calibration.model_copy(update={"class_mix": mix}))
    with pytest.raises(SettingsError, match="the calibration films have no covid19"):
        complete_prevalence(without, {"covid19": 0.1})


def test_shares_of_all_classes_must_sum_to_one(bundle: Bundle) -> None:
    with pytest.raises(SettingsError, match="sum to 1"):
        complete_prevalence(bundle, dict.fromkeys(bundle.task.classes, 0.2))


@pytest.mark.parametrize(("name", "text"), [("mix.toml", "covid19 = 0.05\n"), ("mix.json", '{"covid19": 0.05}')])
def test_a_prevalence_can_stand_in_a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert parse_prevalence(str(tmp_path / name)) == {"covid19": 0.05}


@pytest.mark.parametrize("text", ["covid19", "covid19=a", "covid19=0.1,covid19=0.2", "/nope.toml", "covid19=0.1=2"])
def test_a_prevalence_that_cannot_be_read_is_one_sentence(text: str) -> None:
    with pytest.raises(SettingsError, match="prevalence"):
        parse_prevalence(text)


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "empty"), (b"just text", "not_a_picture"), (b"\x89PNG\r\n\x1a\n", "truncated")]
)
def test_a_bad_file_becomes_a_code_and_a_sentence(bundle: Bundle, tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    reading = Reader(bundle, gate=None).read(_source(path))
    assert reading.error is not None
    assert reading.error.code == code
    assert reading.outcome == "unread"


def test_a_folder_or_missing_file_named_as_film_is_an_error_of_that_film(bundle: Bundle, tmp_path: Path) -> None:
    reader = Reader(bundle, gate=None)
    assert [reader.read(_source(path)).error is not None for path in (tmp_path, tmp_path / "none.png")] == [True, True]


def test_a_network_that_gives_no_numbers_judges_nothing(
    make_bundle: Callable[..., Path], film: Path, tmp_path: Path
) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "nan", bias=np.array([np.nan, 0.0, 0.0, 0.0])))
    reading = Reader(bundle, gate=None).read(_source(film))
    assert reading.error is not None
    assert reading.error.code == "not_finite"


def test_a_network_of_another_size_is_refused_before_any_film(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "big", preprocessing={"size": 64, "framing": "whole", "intensity": "window"})
    with pytest.raises(BundleError, match="must take films of 64 x 64"):
        Reader(load_bundle(folder), gate=None)


def test_a_heatmap_of_an_unknown_class_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'oedema'"):
        Reader(bundle, gate=None, layers=LayerOptions(tmp_path, of="oedema"))


def test_a_heatmap_that_cannot_be_written_concerns_all_films(bundle: Bundle, film: Path, tmp_path: Path) -> None:
    # No folder heatmaps/ has been made.
    with pytest.raises(OutputError, match="finished films are kept"):
        Reader(bundle, gate=None, layers=LayerOptions(tmp_path / "none")).read(_source(film))
