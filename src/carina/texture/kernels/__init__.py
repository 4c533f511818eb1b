"""Compiled kernels of the texture features; importing this package needs numba (extra `texture`)."""

from carina.texture.kernels.cooccurrence import CO_OCCURRENCE, cooccurrence, correlation_matrix
from carina.texture.kernels.counts import count_neighbours, count_runs, count_touching, several_on_a_line, zones
from carina.texture.kernels.differences import DIFFERENCES, tone_differences
from carina.texture.kernels.emphases import EMPHASES, emphases, sparse, tally
from carina.texture.kernels.first_order import FIRST_ORDER, first_order, integer_counts, order_statistics, uniformity
from carina.texture.kernels.levels import inside, lay_levels
from carina.texture.kernels.outline import farthest, outline
from carina.texture.kernels.patterns import binary_patterns
from carina.texture.kernels.windows import window_features

__all__ = [
    "CO_OCCURRENCE",
    "DIFFERENCES",
    "EMPHASES",
    "FIRST_ORDER",
    "binary_patterns",
    "cooccurrence",
    "correlation_matrix",
    "count_neighbours",
    "count_runs",
    "count_touching",
    "emphases",
    "farthest",
    "first_order",
    "inside",
    "integer_counts",
    "lay_levels",
    "order_statistics",
    "outline",
    "several_on_a_line",
    "sparse",
    "tally",
    "tone_differences",
    "uniformity",
    "window_features",
    "zones",
]
