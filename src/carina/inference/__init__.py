"""From a model bundle and a film to a reading: no torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from carina.inference.bundle import (
    Bundle,
    TrainingFilms,
    default_bundle_path,
    find_bundle,
    load_bundle,
    write_bundle,
    zip_bundle,
)
from carina.inference.calibration import Calibration, calibrated_probabilities, prediction_set, prior_shift
from carina.inference.card import copy_with_section
from carina.inference.heatmap import encode_png, normalise_map, overlay
from carina.inference.layers import LayerOptions
from carina.inference.options import PredictOptions, Summary, make_reader
from carina.inference.predict import count_films, predict_films
from carina.inference.prevalence import complete_prevalence, parse_prevalence
from carina.inference.reader import Gate, Judged, Reader
from carina.inference.reading import FilmRecord, HeatmapRecord, Outcome, Problem, Reading
from carina.inference.session import Engine, Outputs, Session, open_session
from carina.inference.sources import FilmSource, find_films

if TYPE_CHECKING:
    from carina.inference.calibrate import fit_calibration, least_patients
    from carina.inference.coverage import CoverageRow, coverage_report
    from carina.inference.gate import GateThresholds, QualityGate

__all__ = [
    "Bundle",
    "Calibration",
    "CoverageRow",
    "Engine",
    "FilmRecord",
    "FilmSource",
    "Gate",
    "GateThresholds",
    "HeatmapRecord",
    "Judged",
    "LayerOptions",
    "Outcome",
    "Outputs",
    "PredictOptions",
    "Problem",
    "QualityGate",
    "Reader",
    "Reading",
    "Session",
    "Summary",
    "TrainingFilms",
    "calibrated_probabilities",
    "complete_prevalence",
    "copy_with_section",
    "count_films",
    "coverage_report",
    "default_bundle_path",
    "encode_png",
    "find_bundle",
    "find_films",
    "fit_calibration",
    "least_patients",
    "load_bundle",
    "make_reader",
    "normalise_map",
    "open_session",
    "overlay",
    "parse_prevalence",
    "predict_films",
    "prediction_set",
    "prior_shift",
    "write_bundle",
    "zip_bundle",
]

# Fitting brings SciPy and scikit-learn, which no prediction needs; the gate is only loaded where it is used.
_LATER = {
    "CoverageRow": "coverage",
    "GateThresholds": "gate",
    "QualityGate": "gate",
    "coverage_report": "coverage",
    "fit_calibration": "calibrate",
    "least_patients": "calibrate",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"carina.inference.{_LATER[name]}"), name)
    raise AttributeError(f"module 'carina.inference' has no attribute {name!r}")
