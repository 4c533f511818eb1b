"""Numbers of an atlas: spread by class, mean by zone, and one film against a reference population (M27)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carina.errors import TableError
from carina.evidence.signature_table import SignatureTable
from carina.imaging.lung_fields import ZONES
from carina.report.atlas_films import split_name

__all__ = ["Placed", "Spread", "ZoneRow", "film_places", "groups_of", "reference_rows", "spreads", "zone_rows"]

_FEWEST = 3
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Spread:
    """Values of one feature in one group: 5th, 25th, 50th, 75th and 95th percentile."""

    group: str
    films: int
    quantiles: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ZoneRow:
    """Mean of a feature by zone in one group, in standard deviations from all films' mean of that zone."""

    group: str
    films: int
    means: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """A film's value of a feature among the reference films.

    Attributes
    ----------
    feature : str
    value : float
    z : float
        Distance from their mean in their standard deviations.
    percentile : float
        Share of them below it, ties counting half, in percent.
    reference : int
        Films with a value.
    """

    feature: str
    value: float
    z: float
    percentile: float
    reference: int


def groups_of(table: SignatureTable) -> list[str]:
    """Group of each film: its label and, where several sources are named, its source."""
    labels, sources = table.column("label").tolist(), table.column("source").tolist()
    several = len(set(sources) - {""}) > 1
    pairs = zip(labels, sources, strict=True)
    return [f"{label}, {source}" if several and source else str(label) for label, source in pairs]


def spreads(table: SignatureTable, feature: str) -> list[Spread]:
    """Spread of a feature in each group with three films or more."""
    values, groups = table.values[:, table.names.index(feature)], np.array(groups_of(table))
    found = []
    for group in sorted(set(groups.tolist())):
        own = values[(groups == group) & np.isfinite(values)]
        if len(own) >= _FEWEST:
            found.append(Spread(group, len(own), tuple(np.quantile(own, _QUANTILES).tolist())))
    return found


def zone_rows(table: SignatureTable, feature: str) -> list[ZoneRow]:
    """Mean of a feature by group in each of `ZONES`; empty where the table has no zones."""
    rest = feature.partition(".")[2]
    names = [f"{zone}.{rest}" for zone in ZONES]
    if not any(name in table.names for name in names):
        return []
    scaled = np.full((len(table), len(names)), np.nan)
    for column, name in enumerate(names):
        if name in table.names:
            scaled[:, column] = _standard(table.values[:, table.names.index(name)])
    groups = np.array(groups_of(table))
    found = []
    for group in sorted(set(groups.tolist())):
        own = scaled[groups == group]
        if len(own) >= _FEWEST:
            found.append(ZoneRow(group, len(own), tuple(_mean(column) for column in own.T)))
    return found


def reference_rows(table: SignatureTable, image_id: str, label: str | None, source: str | None) -> NDArray[np.intp]:
    """Films that one film is held against: of other patients, and of a label or source where one is asked for.

    Raises
    ------
    TableError
        If the film is not in the table, or fewer than ten films are left.
    """
    names = table.column("image_id").tolist()
    if image_id not in names:
        raise TableError(f"a film must be in the feature table by its image_id; found {image_id!r}, which it has not")
    people = table.column("patient_id")
    kept = people != people[names.index(image_id)]
    for column, wanted in (("label", label), ("source", source)):
        if wanted is not None:
            kept &= table.column(column) == wanted
    rows = np.flatnonzero(kept)
    if len(rows) < 10:  # noqa: PLR2004 - percentiles of fewer mean nothing
        asked = ", ".join(f"{name} {value!r}" for name, value in (("label", label), ("source", source)) if value)
        raise TableError(
            f"a reference population needs at least 10 films of other patients; found {len(rows)}"
            + (f" with {asked}" if asked else "")
        )
    return rows


def film_places(
    table: SignatureTable, image_id: str, rows: NDArray[np.intp], features: Sequence[str] | None = None
) -> list[Placed]:
    """Place a film's features among those of the reference films; features without a value or spread are left out."""
    row = table.column("image_id").tolist().index(image_id)
    found = []
    for name in features or table.names:
        column = table.values[:, table.names.index(name)]
        own, others = float(column[row]), column[rows]
        others = others[np.isfinite(others)]
        spread = float(others.std(ddof=1)) if len(others) > 1 else 0.0
        if not np.isfinite(own) or spread <= 0.0:
            continue
        below = float((others < own).mean() + 0.5 * (others == own).mean())
        found.append(Placed(name, own, (own - float(others.mean())) / spread, 100.0 * below, len(others)))
    return found


def unusual(placed: Sequence[Placed], most: int) -> list[Placed]:
    """Features farthest from the middle, by percentile and then by distance; one region of each feature."""
    order = sorted(placed, key=lambda one: (-abs(one.percentile - 50.0), -abs(one.z)))
    kept: list[Placed] = []
    seen: set[tuple[str, str, str]] = set()
    for one in order:
        kind = split_name(one.feature)[1:]
        if kind not in seen:
            seen.add(kind)
            kept.append(one)
        if len(kept) == most:
            break
    return kept


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = values[np.isfinite(values)]
    spread = float(known.std()) if known.size else 0.0
    return np.asarray((values - known.mean()) / spread) if spread > 0 else np.full(values.shape, np.nan)


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None
