"""Whether the films cover the whole range of each parameter, by class (M18)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import polars as pl

from carina.cohort.sections import CovariateRules

__all__ = ["coverage_gaps", "coverage_table"]

_UNKNOWN = "unknown"


def coverage_table(films: pl.DataFrame, rules: CovariateRules) -> pl.DataFrame:
    """Count films and patients by parameter, its value and class.

    Parameters
    ----------
    films : polars.DataFrame
        `label`, `patient_id`, `age`, `sex`, `bmi`, `ethnicity`, `view`, `device`.
    rules : CovariateRules
        Bands of age and BMI.

    Returns
    -------
    polars.DataFrame
        `parameter`, `value`, `label`, `films`, `patients`; every value with every class, zero where there is none.
    """
    banded = films.select(
        "label",
        "patient_id",
        _band("age", rules.age_bands).alias("age"),
        pl.col("sex").fill_null(_UNKNOWN),
        _band("bmi", rules.bmi_bands).alias("bmi"),
        pl.col("ethnicity").fill_null(_UNKNOWN),
        pl.col("view").fill_null(_UNKNOWN),
        pl.col("device").fill_null(_UNKNOWN),
    )
    labels = banded.select("label").unique().sort("label")
    parts = []
    for name in ("age", "sex", "bmi", "ethnicity", "view", "device"):
        values = _values(banded, name, rules)
        grid = values.join(labels, how="cross", maintain_order="left_right")
        counts = banded.group_by(pl.col(name).alias("value"), "label").agg(
            pl.len().cast(pl.Int64).alias("films"), pl.col("patient_id").n_unique().cast(pl.Int64).alias("patients")
        )
        part = grid.join(counts, on=["value", "label"], how="left", maintain_order="left")
        parts.append(
            part.select(pl.lit(name).alias("parameter"), "value", "label", pl.col("films", "patients").fill_null(0))
        )
    return pl.concat(parts)


def coverage_gaps(coverage: pl.DataFrame) -> tuple[str, ...]:
    """Say which class has no film at which known value of a parameter.

    Examples
    --------
    >>> row = {"parameter": "sex", "value": "F", "label": "viral", "films": 0, "patients": 0}
    >>> coverage_gaps(pl.DataFrame([row]))
    ('no viral film where sex is F',)
    """
    empty = coverage.filter((pl.col("films") == 0) & (pl.col("value") != _UNKNOWN) & (pl.col("parameter") != "device"))
    return tuple(f"no {row['label']} film where {row['parameter']} is {row['value']}" for row in empty.to_dicts())


def _values(banded: pl.DataFrame, name: str, rules: CovariateRules) -> pl.DataFrame:
    """Return the values of a parameter in order: all bands, met or not; else those met."""
    met = set(banded[name].to_list())
    bands = {"age": rules.age_bands, "bmi": rules.bmi_bands}.get(name)
    ordered = _band_names(bands) if bands is not None else sorted(met - {_UNKNOWN})
    more = [value for value in (_UNKNOWN, _below(bands)) if value in met and value not in ordered]
    return pl.DataFrame({"value": [*ordered, *more]}, schema={"value": pl.String})


def _band_names(bands: Sequence[float]) -> list[str]:
    """Such as ``"18.5 to <25"``; the last is open."""
    closed = [f"{low:g} to <{high:g}" for low, high in itertools.pairwise(bands)]
    return [*closed, f"{bands[-1]:g} and over"]


def _below(bands: Sequence[float] | None) -> str:
    return f"below {bands[0]:g}" if bands else _UNKNOWN


def _band(name: str, bands: Sequence[float]) -> pl.Expr:
    value = pl.col(name)
    result = pl.when(value.is_null()).then(pl.lit(_UNKNOWN)).when(value < bands[0]).then(pl.lit(_below(bands)))
    for low, said in zip(reversed(bands), reversed(_band_names(bands)), strict=True):
        result = result.when(value >= low).then(pl.lit(said))
    return result.otherwise(pl.lit(_UNKNOWN))
