"""The maximal correlation of a small matrix, without a linear algebra library: a window calls it for every pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from carina.texture.kernels.compiled import compiled

__all__ = ["largest_eigenvalue", "maximal_correlation"]

_Floats = NDArray[np.float64]

_MOST_SWEEPS = 60
_THREE = 3


@compiled
def _reflect(matrix: _Floats, column: int, mirror: _Floats, pushed: _Floats, scale: float) -> None:
    """Reflect the lower right of a symmetric matrix, in place: H A H with H = 1 - scale * mirror mirror^T."""
    size = matrix.shape[0]
    along = 0.0
    for row in range(column + 1, size):
        total = 0.0
        for other in range(column + 1, size):
            total += matrix[row, other] * mirror[other]
        pushed[row] = scale * total
        along += pushed[row] * mirror[row]
    along *= scale / 2.0
    for row in range(column + 1, size):
        pushed[row] -= along * mirror[row]
    for row in range(column + 1, size):
        for other in range(column + 1, size):
            matrix[row, other] -= mirror[row] * pushed[other] + pushed[row] * mirror[other]


@compiled
def _tridiagonal(matrix: _Floats) -> tuple[_Floats, _Floats]:
    """Reduce a symmetric matrix (n, n), in place, to diagonal (n,) and off-diagonal (n,) by Householder reflections."""
    size = matrix.shape[0]
    beside = np.zeros(size)
    mirror, pushed = np.zeros(size), np.zeros(size)
    for column in range(size - 2):
        head = matrix[column + 1, column]
        rest = 0.0
        for row in range(column + 2, size):
            rest += matrix[row, column] ** 2
            mirror[row] = matrix[row, column]
        if rest == 0.0:
            beside[column] = head
            continue
        length = np.sqrt(rest + head * head)
        beside[column] = -length if head > 0.0 else length
        mirror[column + 1] = head - beside[column]
        _reflect(matrix, column, mirror, pushed, 2.0 / (rest + mirror[column + 1] ** 2))
    if size > 1:
        beside[size - 2] = matrix[size - 1, size - 2]
    return np.diag(matrix).copy(), beside


@compiled
def _below(diagonal: _Floats, beside: _Floats, limit: float) -> int:
    """Count the eigenvalues of a tridiagonal matrix below a limit (Sturm's sequence)."""
    found, pivot = 0, 1.0
    for place in range(diagonal.size):
        before = beside[place - 1] ** 2 / pivot if place else 0.0
        pivot = diagonal[place] - limit - before
        if pivot == 0.0:
            pivot = 1e-300
        found += pivot < 0.0
    return found


@compiled
def largest_eigenvalue(matrix: _Floats) -> float:
    """Largest absolute eigenvalue of a symmetric matrix (n, n) whose eigenvalues lie within -1 and 1; overwrites it."""
    diagonal, beside = _tridiagonal(matrix)
    size = diagonal.size
    low, high = 0.0, 1.0 + 1e-9
    for _ in range(_MOST_SWEEPS):
        middle = (low + high) / 2.0
        # all within -middle and middle?
        if _below(diagonal, beside, middle) == size and _below(diagonal, beside, -middle) == 0:
            high = middle
        else:
            low = middle
        if high - low < 1e-15 + 1e-13 * high:
            break
    return high


@compiled
def _of_three(matrix: _Floats) -> float:
    """Largest absolute eigenvalue of a symmetric matrix of up to three rows, one of whose eigenvalues is 0."""
    trace, squares = 0.0, 0.0
    for i in range(matrix.shape[0]):
        trace += matrix[i, i]
        for j in range(matrix.shape[0]):
            squares += matrix[i, j] ** 2
    if matrix.shape[0] < _THREE:
        return abs(trace)
    return float(abs(trace) + np.sqrt(max(2.0 * squares - trace * trace, 0.0))) / 2.0


@compiled
def maximal_correlation(correlations: _Floats, rows: _Floats, columns: _Floats, symmetric: bool) -> float:  # noqa: FBT001 - compiled
    """Second largest singular value of what `correlation_matrix` makes of a co-occurrence matrix.

    Parameters
    ----------
    correlations : ndarray of float64, (n, n)
    rows, columns : ndarray of float64, (n,)
        Shares of the levels, whose square roots are the first singular vectors.
    symmetric : bool

    Returns
    -------
    float
        0 to 1.
    """
    size = rows.size
    left = correlations.copy()
    for i in range(size):
        for j in range(size):
            left[i, j] -= np.sqrt(rows[i] * columns[j])
    if symmetric:
        return _of_three(left) if size <= _THREE else largest_eigenvalue(left)
    square = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            for k in range(size):
                square[i, j] += left[i, k] * left[j, k]
    return float(np.sqrt(largest_eigenvalue(square)))
