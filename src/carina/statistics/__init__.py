"""Intervals, ROC, calibration: pure functions, checked against peers and R (M29-M33)."""

from carina.statistics.accuracy import (
    Counts,
    count_calls,
    first_of_each,
    threshold_for_band,
    threshold_for_specificity,
)
from carina.statistics.intervals import Proportion, clopper_pearson, proportion, wilson
from carina.statistics.reliability import (
    ReliabilityBin,
    brier_score,
    expected_calibration_error,
    fit_temperature,
    log_loss,
    reliability_bins,
)
from carina.statistics.roc import Area, auc, bootstrap_auc, delong_auc

__all__ = [
    "Area",
    "Counts",
    "Proportion",
    "ReliabilityBin",
    "auc",
    "bootstrap_auc",
    "brier_score",
    "clopper_pearson",
    "count_calls",
    "delong_auc",
    "expected_calibration_error",
    "first_of_each",
    "fit_temperature",
    "log_loss",
    "proportion",
    "reliability_bins",
    "threshold_for_band",
    "threshold_for_specificity",
    "wilson",
]
