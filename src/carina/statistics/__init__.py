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
from carina.statistics.sample_size import (
    Expectation,
    TimeWindow,
    design_effect,
    expected_width,
    power_above,
    time_window,
    trials_for_power,
    trials_for_width,
)

__all__ = [
    "Area",
    "Counts",
    "Expectation",
    "Proportion",
    "ReliabilityBin",
    "TimeWindow",
    "auc",
    "bootstrap_auc",
    "brier_score",
    "clopper_pearson",
    "count_calls",
    "delong_auc",
    "design_effect",
    "expected_calibration_error",
    "expected_width",
    "first_of_each",
    "fit_temperature",
    "log_loss",
    "power_above",
    "proportion",
    "reliability_bins",
    "threshold_for_band",
    "threshold_for_specificity",
    "time_window",
    "trials_for_power",
    "trials_for_width",
    "wilson",
]
