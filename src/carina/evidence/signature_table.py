"""A table of texture features, and what is known of how stable each is (M27)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from carina.errors import TableError
from carina.texture import TextureSettings
from carina.texture import table as texture_table

__all__ = [
    "SignatureTable",
    "StableFeatures",
    "feature_code",
    "read_feature_table",
    "read_stability",
    "texture_settings_of",
]

IDENTITY = ("image_id", "patient_id", "label", "source", "age", "sex", "view", "split")
"""Columns that name a film; whatever else is a number and has a dot in its name is a feature."""

_NEEDED = ("image_id", "patient_id", "label")
_SHOWN = 3
_METADATA = b"carina_texture"


@dataclass(frozen=True, slots=True, eq=False)
class SignatureTable:
    """N films with F features.

    Attributes
    ----------
    films : polars.DataFrame
        One row a film: `image_id`, `patient_id`, `label` as text, `source` (empty text where unknown) and whatever else
        of `IDENTITY` the file has.
    names : tuple of str, (F,)
        ``region.picture_class_Feature``.
    values : ndarray of float64, (N, F)
        NaN where a film has no value.
    sha256 : str
        Of the file.
    left_out : dict of str to str
        Features that cannot be used at all, with the reason.
    films_left_out : dict of str to int
        Films that cannot be used, counted by reason.
    """

    films: pl.DataFrame
    names: tuple[str, ...]
    values: NDArray[np.float64]
    sha256: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
    films_left_out: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.films.height

    def column(self, name: str) -> NDArray[Any]:
        """One identity column; text that is missing is empty."""
        if name not in self.films.columns:
            return np.full(len(self), "", dtype=object)
        return np.array([value if value is not None else "" for value in self.films[name].to_list()], dtype=object)

    def take(self, rows: Sequence[int] | NDArray[Any]) -> SignatureTable:
        """Return some films, in the order given."""
        places = np.asarray(rows, dtype=np.intp)
        return replace(self, films=self.films[places.tolist()], values=self.values[places])

    def with_features(self, names: Sequence[str]) -> SignatureTable:
        """Return the same films with some features, in the order given."""
        place = {name: number for number, name in enumerate(self.names)}
        return replace(self, names=tuple(names), values=self.values[:, [place[name] for name in names]])


@dataclass(frozen=True, slots=True)
class StableFeatures:
    """Which features may be believed.

    Attributes
    ----------
    keep : dict of str to bool
    why : dict of str to str
    """

    keep: dict[str, bool]
    why: dict[str, str]


def read_feature_table(path: Path) -> SignatureTable:
    """Read a table of features.

    Parameters
    ----------
    path : Path
        Parquet or CSV with `image_id`, `patient_id` and `label`, if known `source`, `age`, `sex`, `view` and `split`,
        and a column of numbers with a dot in its name for each feature.

    Returns
    -------
    SignatureTable
        Features that are constant or have no value stay out, with the reason; infinite values count as missing.

    Raises
    ------
    TableError
        If the file cannot be read, lacks a column, has a film twice or a film without patient or label, or no feature.
    """
    frame, digest = _read(path)
    missing = [name for name in _NEEDED if name not in frame.columns]
    if missing:
        raise TableError(
            f"a feature table must have the columns {list(_NEEDED)}; {str(path)!r} lacks {missing}: write it with "
            "`carina texture`"
        )
    if not frame.height:
        raise TableError(f"a feature table must have films; {str(path)!r} has none")
    films = _identity(frame, path)
    names = [
        name
        for name, kind in frame.schema.items()
        if "." in name and name not in IDENTITY and (kind.is_numeric() or kind == pl.Null)
    ]
    if not names:
        raise TableError(
            f"a feature table must have features, columns of numbers named '<region>.<feature>'; {str(path)!r} has none"
        )
    values = frame.select(pl.col(names).cast(pl.Float64)).to_numpy().astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    same = frame["same_film_as"].is_not_null().to_numpy() if "same_film_as" in frame.columns else np.zeros(len(values))
    empty = ~np.isfinite(values).any(axis=1)
    reasons = {
        "the same picture as another film": int(same.sum()),
        "no feature": int((empty & ~same.astype(bool)).sum()),
    }
    rows = np.flatnonzero(~empty & ~same.astype(bool))
    films, values = films[rows.tolist()], values[rows]
    left_out = _unusable(names, values)
    kept = [number for number, name in enumerate(names) if name not in left_out]
    if not kept:
        first = next(iter(left_out.items()))
        raise TableError(
            f"a feature table must have features that vary; all {len(names)} of {str(path)!r} are constant or empty, "
            f"such as {first[0]!r}: {first[1]}"
        )
    counted = {reason: count for reason, count in reasons.items() if count}
    return SignatureTable(films, tuple(names[number] for number in kept), values[:, kept], digest, left_out, counted)


def read_stability(path: Path) -> StableFeatures:
    """Read which features are stable.

    Parameters
    ----------
    path : Path
        Parquet or CSV with `feature`, `keep` and, if known, `why`.

    Returns
    -------
    StableFeatures

    Raises
    ------
    TableError
        If the file cannot be read, lacks a column or names a feature twice.
    """
    frame, _ = _read(path)
    missing = [name for name in ("feature", "keep") if name not in frame.columns]
    if missing:
        raise TableError(f"a stability table must have the columns 'feature' and 'keep'; {str(path)!r} lacks {missing}")
    names = [str(name) for name in frame["feature"].to_list()]
    if len(set(names)) != len(names):
        raise TableError(f"a stability table must name each feature once; {str(path)!r} names one twice")
    keep = [_truth(value, path) for value in frame["keep"].to_list()]
    why = frame["why"].to_list() if "why" in frame.columns else [""] * len(names)
    return StableFeatures(
        dict(zip(names, keep, strict=True)),
        {name: str(reason or "") for name, reason in zip(names, why, strict=True)},
    )


def texture_settings_of(path: Path) -> TextureSettings:
    """Read the settings a feature table was measured with; the defaults where the file does not say."""
    try:
        told = (pq.read_schema(path).metadata or {}).get(_METADATA) if path.suffix.lower() == ".parquet" else None
        settings = json.loads(told)["settings"] if told else {}
        return TextureSettings(**settings)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise TableError(f"the metadata of a feature table must hold its settings; {str(path)!r}: {error}") from error


def feature_code(name: str) -> str:
    """Code of a feature in the IBSI reference manual; empty where that has none.

    Parameters
    ----------
    name : str
        ``region.picture_class_Feature`` or ``picture_class_Feature``.

    Examples
    --------
    >>> feature_code("lungs.wavelet-LH_glcm_JointEntropy")
    'TU9B'
    >>> feature_code("lungs.original_glcm_MCC")
    ''
    """
    family, _, feature = name.rpartition(".")[2].partition("_")[2].partition("_")
    return _codes().get((family, feature), "")


def _codes() -> dict[tuple[str, str], str]:
    return {(one.family, one.name): one.ibsi for one in texture_table()}


def _read(path: Path) -> tuple[pl.DataFrame, str]:
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".csv":
            frame = pl.read_csv(content, infer_schema_length=None, schema_overrides={"image_id": pl.String})
        else:
            frame = pl.read_parquet(content, use_pyarrow=True)
    except (OSError, ValueError, pl.exceptions.PolarsError, pa.ArrowException) as error:
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise TableError(f"a table must be a readable Parquet or CSV file; {str(path)!r} is not: {first}") from error
    return frame, sha256(content).hexdigest()


def _identity(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    films = frame.select([name for name in IDENTITY if name in frame.columns])
    if "source" not in films.columns:
        films = films.with_columns(pl.lit("").alias("source"))
    texts = [name for name in ("image_id", "patient_id", "label", "source", "view", "sex") if name in films.columns]
    films = films.with_columns(pl.col(texts).cast(pl.String).fill_null(""))
    for name in _NEEDED:
        empty = int((films[name] == "").sum())
        if empty:
            raise TableError(f"every film must have its {name}; {empty} of {films.height} in {str(path)!r} have none")
    twice = films.filter(pl.col("image_id").is_duplicated())["image_id"].unique().sort().to_list()
    if twice:
        raise TableError(
            f"a feature table must have each film once; {str(path)!r} has {len(twice)} films more than once, such as "
            f"{twice[:_SHOWN]}"
        )
    return films


def _unusable(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, str]:
    known = np.isfinite(values)
    none = [not any_known for any_known in np.count_nonzero(known, axis=0).tolist()]
    low = np.where(known, values, np.inf).min(axis=0)
    high = np.where(known, values, -np.inf).max(axis=0)
    scale = np.maximum(1e-300, np.maximum(np.abs(low), np.abs(high)))
    constant = np.less_equal(high - low, 1e-12 * scale).tolist()
    found = {}
    for name, empty, flat in zip(names, none, constant, strict=True):
        if empty:
            found[name] = "no film has a value"
        elif flat:
            found[name] = "the same on every film"
    return found


def _truth(value: object, path: Path) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in {"true", "1"}:
        return True
    if str(value).lower() in {"false", "0"}:
        return False
    raise TableError(f"'keep' of a stability table must be true or false; {str(path)!r} has {value!r}")
