"""A table of texture features, and what is known of how stable each is (M27)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from carina.errors import TableError
from carina.evidence.texture_columns import Looked, is_feature, looked_over, open_columns, values_of
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
        if np.array_equal(places, np.arange(len(self))):
            return self
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


def read_feature_table(path: Path, where: Sequence[str] = (), hold_out: Path | None = None) -> SignatureTable:
    """Read a table of features, film by film: the table itself is all that takes memory.

    Parameters
    ----------
    path : Path
        Parquet or CSV with `image_id`, `patient_id` and `label`, if known `source`, `age`, `sex`, `view` and `split`,
        and a column of numbers with a dot in its name for each feature.
    where : sequence of str
        ``COLUMN=VALUE`` conditions that every film must meet.
    hold_out : Path or None
        CSV with a column `image_id`: these films and every film of their patients stay out.

    Returns
    -------
    SignatureTable
        Features that are constant or have no value stay out, with the reason; infinite values count as missing.

    Raises
    ------
    TableError
        If the file cannot be read, lacks a column, has a film twice or a film without patient or label, or no feature.
    """
    file = open_columns(path, lambda name, kind: is_feature(name, kind) and name not in IDENTITY)
    missing = [name for name in _NEEDED if name not in file.rest.columns]
    if missing:
        raise TableError(
            f"a feature table must have the columns {list(_NEEDED)}; {str(path)!r} lacks {missing}: write it with "
            "`carina texture`"
        )
    if not file.rest.height:
        raise TableError(f"a feature table must have films; {str(path)!r} has none")
    films = _identity(file.rest, path)
    if not file.names:
        raise TableError(
            f"a feature table must have features, columns of numbers named '<region>.<feature>'; {str(path)!r} has none"
        )
    apart = np.zeros(films.height, np.bool_) if hold_out is None else _held_out(films, hold_out)
    wanted = _met(file.rest, where, path) & ~apart
    same = np.zeros(len(wanted), np.bool_)
    if "same_film_as" in file.rest.columns:
        same = file.rest["same_film_as"].is_not_null().to_numpy()
    seen = looked_over(file, wanted & ~same)
    counts = {
        "of a patient held out": int(apart.sum()),
        "outside the conditions": int((~wanted & ~apart).sum()),
        "the same picture as another film": int((wanted & same).sum()),
        "no feature": int((wanted & ~same & seen.empty).sum()),
    }
    left_out = _unusable(file.names, seen)
    kept = [name for name in file.names if name not in left_out]
    if not kept:
        first = next(iter(left_out.items()))
        raise TableError(
            f"a feature table must have features that vary; all {len(file.names)} of {str(path)!r} are constant or "
            f"empty, such as {first[0]!r}: {first[1]}"
        )
    rows = wanted & ~same & ~seen.empty
    return SignatureTable(
        films.filter(pl.Series(rows)), tuple(kept), values_of(file, kept, rows), file.sha256, left_out,
        {reason: count for reason, count in counts.items() if count},
    )  # fmt: skip


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
    frame = open_columns(path, lambda _name, _kind: False).rest
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


def _unusable(names: Sequence[str], seen: Looked) -> dict[str, str]:
    scale = np.maximum(1e-300, np.maximum(np.abs(seen.low), np.abs(seen.high)))
    found = {}
    for name, low, span, size in zip(names, seen.low, seen.high - seen.low, scale, strict=True):
        if low == np.inf:
            found[name] = "no film has a value"
        elif span <= 1e-12 * size:
            found[name] = "the same on every film"
    return found


def _held_out(films: pl.DataFrame, path: Path) -> NDArray[np.bool_]:
    """Which films are of a patient who has a film in the list."""
    listed = open_columns(path, lambda _name, _kind: False).rest
    if "image_id" not in listed.columns:
        raise TableError(f"--hold-out takes a CSV with a column image_id; {str(path)!r} has none")
    here = films["image_id"].is_in(listed["image_id"].cast(pl.String).to_list())
    return np.asarray(films["patient_id"].is_in(films["patient_id"].filter(here).unique().to_list()).to_numpy())


def _met(rest: pl.DataFrame, where: Sequence[str], path: Path) -> NDArray[np.bool_]:
    """Which rows meet every condition."""
    met = np.ones(rest.height, np.bool_)
    for condition in where:
        name, equals, value = condition.partition("=")
        if not equals or name not in rest.columns:
            raise TableError(f"--where takes COLUMN=VALUE with a column of the table; found {condition!r}")
        met &= (rest[name].cast(pl.String).fill_null("") == value).to_numpy()
    if not met.any():
        raise TableError(f"films must be left after --where; no film of {str(path)!r} meets {', '.join(where)}")
    return met


def _truth(value: object, path: Path) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in {"true", "1"}:
        return True
    if str(value).lower() in {"false", "0"}:
        return False
    raise TableError(f"'keep' of a stability table must be true or false; {str(path)!r} has {value!r}")
