"""Which texture features can be trusted: repeatable under small changes, and not the mark of a source (M27).

A feature is *repeatable* when, in every family of changes, the lower limit of its ICC(2,1) reaches 0.75, where Koo and
Li (2016) begin to call reliability good. It is *source-bound* when, among films of one label, the source explains 0.14
of its ranks or more, Cohen's (1988) large effect, and *view-bound* when the view does within one label and source. Two
sources of as many films that are wholly apart explain 0.75 of the ranks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina import __version__
from carina.errors import InputError, OutputError
from carina.evidence.texture_changes import CHANGES, FAMILIES
from carina.evidence.texture_repeats import LEAST_FILMS, Repeated, agreement_columns, patterns
from carina.statistics.agreement import eta_squared_ranks

__all__ = ["Stability", "StabilityRules", "dependence", "judge_stability", "write_stability"]

_BLOCK = 256
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StabilityRules:
    """When a feature is trusted.

    Attributes
    ----------
    least_icc : float
        Lower limit of ICC(2,1) that a repeatable feature reaches in every family of changes.
    most_source : float
        Share of its ranks that the source may explain among films of one label; from there on it is source-bound.
    most_view : float
        The same for the view within one label and source.
    drop_view_bound : bool
        Whether view-bound features are left out too; they are only marked by default.
    level : float
        Of the intervals.

    References
    ----------
    T. K. Koo, M. Y. Li, J. Chiropr. Med. 15 (2016) 155-163, doi:10.1016/j.jcm.2016.02.012; J. Cohen, Statistical Power
    Analysis for the Behavioral Sciences, 2nd ed. (1988), section 8.2.3.
    """

    least_icc: float = 0.75
    most_source: float = 0.14
    most_view: float = 0.14
    drop_view_bound: bool = False
    level: float = 0.95

    def __post_init__(self) -> None:
        for name in ("least_icc", "most_source", "most_view"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise InputError(f"{name} must be above 0 and 1 at most; found {getattr(self, name)!r}")
        if not 0.0 < self.level < 1.0:
            raise InputError(f"a confidence level must be within 0 and 1; found {self.level!r}")


@dataclass(frozen=True, eq=False)
class Stability:
    """Every feature with its marks.

    Attributes
    ----------
    frame : polars.DataFrame
        One row a feature: `feature`, `keep`, `why`, `repeatable`, `source_bound`, `view_bound`, `icc_least_low` and the
        family it is of, `source_share` and the films it is of, `view_share`, then every family's ICC.
    about : dict
        Rules, changes, films, comparisons and counts.
    """

    frame: pl.DataFrame
    about: dict[str, Any]


def dependence(
    values: _Floats, strata: Sequence[str], groups: Sequence[str | None], least: int = LEAST_FILMS
) -> tuple[_Floats, list[str | None], list[str]]:
    """How far a feature tells groups, such as sources, apart within each stratum, such as a label.

    Parameters
    ----------
    values : ndarray of float64, (N, F)
        NaN where not measured.
    strata, groups : sequence of str
        Of each film. A group counts in a stratum from `least` films on.

    Returns
    -------
    share : ndarray of float64, (F,)
        Largest share over the strata of the ranks' variance that groups explain, less what chance explains (epsilon
        squared, 0 to 1); NaN where no stratum has two groups.
    where : list of str or None
        Stratum of the largest share.
    compared : list of str
        Every comparison: stratum, groups and films.
    """
    share, where = np.full(values.shape[1], np.nan), np.full(values.shape[1], -1)
    told: list[str] = []
    names: list[str] = []
    held = np.array([group or "" for group in groups], dtype=np.str_)
    layers = np.asarray(strata, dtype=np.str_)
    for stratum in sorted(set(layers.tolist())):
        inside = (layers == stratum) & (held != "")
        counts = {str(name): int((held[inside] == name).sum()) for name in np.unique(held[inside])}
        large = [name for name, count in counts.items() if count >= least]
        if len(large) < 2:  # noqa: PLR2004 - to compare
            continue
        rows = np.flatnonzero(inside & np.isin(held, large))
        told.append(f"{stratum}: {', '.join(f'{name} {counts[name]}' for name in large)}")
        names.append(stratum)
        found = np.concatenate(
            [
                _explained(values[rows, start : start + _BLOCK], held[rows], least)
                for start in range(0, values.shape[1], _BLOCK)
            ]
        )
        better = np.isfinite(found) & ~(found <= share)
        share[better], where[better] = found[better], len(names) - 1
    return share, [None if place < 0 else names[place] for place in where.tolist()], told


def _explained(values: _Floats, groups: NDArray[np.str_], least: int) -> _Floats:
    """Epsilon squared of the ranks, (F,)."""
    found = np.full(values.shape[1], np.nan)
    for films, which in patterns(np.isfinite(values)):
        names, counts = np.unique(groups[films], return_counts=True)
        kept = films & np.isin(groups, names[counts >= least])
        several = int((counts >= least).sum())
        if several < 2:  # noqa: PLR2004 - to compare
            continue
        eta, number = eta_squared_ranks(values[np.ix_(kept, which)], groups[kept]), int(kept.sum())
        found[which] = np.maximum(1 - (1 - eta) * (number - 1) / (number - several), 0.0)
    return found


def judge_stability(
    features: Sequence[str],
    repeated: Repeated,
    films: pl.DataFrame,
    values: _Floats,
    rules: StabilityRules | None = None,
) -> Stability:
    """Mark every feature.

    Parameters
    ----------
    features : sequence of str, (F,)
    repeated : Repeated
        The sample that was measured again.
    films : polars.DataFrame
        Films whose dependence on source and view is judged: `patient_id`, `label`, `source` and, where there is one,
        `view`. One film of each patient counts, the first.
    values : ndarray of float64, (N, F)
        Their features.
    rules : StabilityRules or None

    Returns
    -------
    Stability
    """
    rules = rules or StabilityRules()
    columns = agreement_columns(repeated, rules.level)
    lows = np.stack([columns[f"icc_{family}_low"] for family in FAMILIES])
    bad = np.asarray(~np.isfinite(lows).all(axis=0), np.bool_)
    least = np.where(bad, np.nan, np.min(np.where(np.isfinite(lows), lows, np.inf), axis=0))
    family = [
        None if one else FAMILIES[at] for one, at in zip(bad, np.argmin(np.nan_to_num(lows, nan=2.0), 0), strict=True)
    ]
    first = films.with_row_index("\x01at").unique(
        pl.coalesce("patient_id", "image_id"), keep="first", maintain_order=True
    )
    rows = first["\x01at"].to_numpy()
    own = values[rows]
    labels = [value or "" for value in first["label"].to_list()]
    sources = first["source"].to_list()
    source = dependence(own, labels, sources)
    within = [f"{label} of {held}" for label, held in zip(labels, sources, strict=True)]
    view = dependence(own, within, first["view"].to_list() if "view" in first.columns else [None] * len(rows))
    marks = {
        "repeatable": np.nan_to_num(least, nan=-1.0) >= rules.least_icc,
        "source_bound": np.nan_to_num(source[0], nan=0.0) >= rules.most_source,
        "view_bound": np.nan_to_num(view[0], nan=0.0) >= rules.most_view,
    }
    keep = marks["repeatable"] & ~marks["source_bound"] & ~(marks["view_bound"] & rules.drop_view_bound)
    frame = pl.DataFrame({
        "feature": list(features), "keep": keep, "why": [""] * len(features), **marks,
        "icc_least_low": least, "icc_least_family": pl.Series(family, dtype=pl.String),
        "source_share": source[0], "source_films": pl.Series(source[1], dtype=pl.String),
        "view_share": view[0], "view_films": pl.Series(view[1], dtype=pl.String),
        **columns,
    })  # fmt: skip
    frame = frame.with_columns(pl.Series("why", [_why(row, rules) for row in frame.iter_rows(named=True)]))
    frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None))
    return Stability(frame, _about(repeated, rules, marks | {"keep": keep}, source[2], view[2]))


def write_stability(found: Stability, out: Path) -> None:
    """Write the table, and a JSON file beside it.

    Raises
    ------
    OutputError
        If the output is no ``.parquet`` file or cannot be written.
    """
    if out.suffix.lower() != ".parquet":
        raise OutputError(f"the stability table must be a .parquet file; found {out.name!r}")
    text = json.dumps(found.about, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(out.name + ".part")
        found.frame.write_parquet(part)
        part.replace(out)
        out.with_suffix(".json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"the stability table must be writable; {str(out)!r}: {error.strerror}") from error


def _why(row: Mapping[str, Any], rules: StabilityRules) -> str:
    said = []
    low, share = row["icc_least_low"], row["source_share"]
    if row["icc_least_family"] is None:
        said.append(
            f"repeatability not estimable: {row['films']:.0f} films have it in every version"
            if row["films"] < LEAST_FILMS
            else "repeatability not estimable: it does not vary between films"
        )
    elif not row["repeatable"]:
        said.append(
            f"not repeatable: under {row['icc_least_family']} ICC(2,1) may be {low:.2f}, {rules.least_icc:g} asked"
        )
    else:
        said.append(f"repeatable: ICC(2,1) {low:.2f} or more under every change")
    if row["source_films"] is None:
        said.append("dependence on source not estimable")
    elif row["source_bound"]:
        said.append(f"source-bound: the source explains {share:.2f} of its ranks among {row['source_films']} films")
    else:
        said.append(f"the source explains {share:.2f} of its ranks at most")
    if row["view_bound"]:
        said.append(
            f"view-bound: the view explains {row['view_share']:.2f} of its ranks among {row['view_films']} films"
        )
    return "; ".join(said)


def _about(
    repeated: Repeated,
    rules: StabilityRules,
    marks: Mapping[str, NDArray[np.bool_]],
    of_source: list[str],
    of_view: list[str],
) -> dict[str, Any]:
    sources, counts = np.unique(repeated.sources, return_counts=True)
    return {
        "schema": 1,
        "carina": __version__,
        "rules": asdict(rules),
        "changes": [change.name for change in CHANGES],
        "films_measured_again": len(repeated.values),
        "films_by_source": dict(zip(sources.tolist(), counts.tolist(), strict=True)),
        "refused": repeated.refused,
        "sources_compared": of_source,
        "views_compared": of_view,
        "features": len(marks["keep"]),
        **{name: int(mark.sum()) for name, mark in marks.items()},
    }
