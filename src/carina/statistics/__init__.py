"""Intervals, ROC, calibration: pure functions, checked against peers and R (M29-M33)."""

from carina.statistics.accuracy import (
    Counts,
    count_calls,
    first_of_each,
    threshold_for_band,
    threshold_for_specificity,
)
from carina.statistics.bootstrap import BOOTSTRAP_MEASURES, cluster_bootstrap, cluster_bootstrap_difference
from carina.statistics.clusters import clustered_difference, effective_sample_size, korn_graubard
from carina.statistics.comparison import Comparison, McNemar, clustered_auc, mcnemar, paired_delong
from carina.statistics.curves import Band, PrCurve, RocCurve, average_precision, pr_curve, roc_curve
from carina.statistics.estimates import Estimate, patient_bootstrap, patient_mean, percentile_interval
from carina.statistics.intervals import Proportion, clopper_pearson, proportion, wilson
from carina.statistics.measures import (
    RATES,
    accuracy_measures,
    class_measures,
    cohen_kappa,
    confusion_matrix,
    macro_measures,
    matthews,
    rates,
)
from carina.statistics.multiplicity import benjamini_hochberg, bonferroni, bonferroni_level, holm
from carina.statistics.predictive import mercaldo_predictive_values
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
    "BOOTSTRAP_MEASURES",
    "RATES",
    "Area",
    "Band",
    "Comparison",
    "Counts",
    "Estimate",
    "Expectation",
    "McNemar",
    "PrCurve",
    "Proportion",
    "ReliabilityBin",
    "RocCurve",
    "TimeWindow",
    "accuracy_measures",
    "auc",
    "average_precision",
    "benjamini_hochberg",
    "bonferroni",
    "bonferroni_level",
    "bootstrap_auc",
    "brier_score",
    "class_measures",
    "clopper_pearson",
    "cluster_bootstrap",
    "cluster_bootstrap_difference",
    "clustered_auc",
    "clustered_difference",
    "cohen_kappa",
    "confusion_matrix",
    "count_calls",
    "delong_auc",
    "design_effect",
    "effective_sample_size",
    "expected_calibration_error",
    "expected_width",
    "first_of_each",
    "fit_temperature",
    "holm",
    "korn_graubard",
    "log_loss",
    "macro_measures",
    "matthews",
    "mcnemar",
    "mercaldo_predictive_values",
    "paired_delong",
    "patient_bootstrap",
    "patient_mean",
    "percentile_interval",
    "power_above",
    "pr_curve",
    "proportion",
    "rates",
    "reliability_bins",
    "roc_curve",
    "threshold_for_band",
    "threshold_for_specificity",
    "time_window",
    "trials_for_power",
    "trials_for_width",
    "wilson",
]
