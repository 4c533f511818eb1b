"""From a model bundle and a film to a reading: no torch."""

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
from carina.inference.heatmap import encode_png, normalise_map, overlay, upsample_map
from carina.inference.predict import PredictOptions, Summary, count_films, make_reader, predict_films
from carina.inference.prevalence import complete_prevalence, parse_prevalence
from carina.inference.reader import Gate, HeatmapOptions, Reader
from carina.inference.reading import FilmRecord, HeatmapRecord, Outcome, Problem, Reading
from carina.inference.session import Engine, Outputs, Session, open_session
from carina.inference.sources import FilmSource, find_films

__all__ = [
    "Bundle",
    "Calibration",
    "Engine",
    "FilmRecord",
    "FilmSource",
    "Gate",
    "HeatmapOptions",
    "HeatmapRecord",
    "Outcome",
    "Outputs",
    "PredictOptions",
    "Problem",
    "Reader",
    "Reading",
    "Session",
    "Summary",
    "TrainingFilms",
    "calibrated_probabilities",
    "complete_prevalence",
    "count_films",
    "default_bundle_path",
    "encode_png",
    "find_bundle",
    "find_films",
    "load_bundle",
    "make_reader",
    "normalise_map",
    "open_session",
    "overlay",
    "parse_prevalence",
    "predict_films",
    "prediction_set",
    "prior_shift",
    "upsample_map",
    "write_bundle",
    "zip_bundle",
]
