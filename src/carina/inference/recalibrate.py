"""A bundle calibrated on local films: a new version, the old one untouched (M4, M11).

Only temperatures, thresholds, class mix and conformal quantiles change; the network stays, byte for byte. Films that
the bundle learned from, or of patients it learned from, take no part: on them every network is too sure of itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carina.errors import BundleError, CalibrationError, FilmRejectedError, OutputError, TableError
from carina.imaging import read_film
from carina.inference.bundle import Bundle, write_bundle
from carina.inference.calibrate import fit_calibration
from carina.inference.calibration import Calibration
from carina.inference.reader import Gate, Reader
from carina.sampling import FilmTable, patient_key, perceptual_hash, within_reach
from carina.types import Array, Film

__all__ = ["LocalFilms", "judge_local_films", "next_version", "recalibrate", "require_new"]

SEEN_PATIENT = "its patient was in the training of this bundle"
SEEN_FILM = "it, or another film of its patient, is a near-duplicate of a film this bundle was trained on"

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class LocalFilms:
    """What a bundle says of local films.

    Attributes
    ----------
    logits : ndarray of float32, (N, K)
    labels, patients, sources : tuple of str, (N,)
    left_out : dict of str to str
        Image ids that take no part, each with the reason.
    """

    logits: Array
    labels: tuple[str, ...]
    patients: tuple[str, ...]
    sources: tuple[str, ...]
    left_out: dict[str, str]


def judge_local_films(
    bundle: Bundle,
    table: FilmTable,
    *,
    gate: Gate | None,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> LocalFilms:
    """Run a bundle on a table's films, leaving out what it was trained on and what cannot be judged.

    Parameters
    ----------
    bundle : Bundle
    table : FilmTable
    gate : Gate or None
        Quality gate, the one that will stand before the bundle in use.
    threads : int
        Of one forward pass.
    progress : callable, optional
        Called with the number of films done.

    Returns
    -------
    LocalFilms

    Raises
    ------
    TableError
        If films of the table are missing.
    CalibrationError
        If no film is left.
    BundleError
        If the hashes of the bundle's training films cannot be compared.
    """
    table.require_files()
    reader = Reader(bundle, gate=gate, threads=threads)
    known = bundle.training_films.patients
    left_out: dict[str, str] = {}
    logits: dict[int, Array] = {}
    hashes: list[tuple[int, str]] = []
    for row, (path, patient) in enumerate(zip(table.paths, table.patients, strict=True)):
        name = table.image_ids[row]
        if patient_key(patient) in known:
            left_out[name] = SEEN_PATIENT
        else:
            try:
                found = _judge(reader, path)
            except (FilmRejectedError, OSError) as error:
                left_out[name] = str(error)
            else:
                hashes += [(row, value) for value in found.hashes]
                if isinstance(found.logits, str):
                    left_out[name] = found.logits
                else:
                    logits[row] = found.logits
        if progress is not None:
            progress(row + 1)
    return _without_seen(bundle, table, logits, hashes, left_out)


def recalibrate(
    bundle: Bundle, films: LocalFilms, out: Path, *, table_sha256: str, seed: int, least_per_side: int = 5
) -> Bundle:
    """Calibrate a bundle on local films and write it as a new version.

    Parameters
    ----------
    bundle : Bundle
        Stays as it is.
    films : LocalFilms
    out : Path
        Folder of the new bundle; must not exist.
    table_sha256 : str
        Of the film table.
    seed : int
        Of the choice of one film per patient for the prediction sets.
    least_per_side : int
        Fewest patients on each side of a contrast that decides.

    Returns
    -------
    Bundle
        The new one, read back and verified. Its version is `next_version` of the old one's.

    Raises
    ------
    CalibrationError
        If the films are too few, with the count of those left out.
    OutputError
        If `out` exists or cannot be written.
    """
    try:
        calibration = fit_calibration(
            films.logits,
            films.labels,
            films.patients,
            bundle.task,
            sources=films.sources,
            ages=_training_ages(bundle),
            model_sha256=bundle.model_sha256,
            table_sha256=table_sha256,
            seed=seed,
            least_per_side=least_per_side,
        )
    except CalibrationError as error:
        left = f"; {len(films.left_out)} films were left out" if films.left_out else ""
        raise CalibrationError(f"{error}{left}") from error
    version = next_version(bundle.version)
    description = {
        name: value
        for name, value in bundle.description.items()
        if name not in {"format", "created", "carina_version", "sha256", "figures"}
    }
    description |= {
        "version": version,
        "calibration": calibration.to_dict(),
        "calibrated_from": {
            "version": bundle.version,
            "bundle_sha256": bundle.sha256,
            "figures": bundle.description.get("figures", {}),
            "seed": seed,
            "films_left_out": len(films.left_out),
        },
    }
    return write_bundle(out, bundle.model, description, _card(bundle, calibration, version))


def next_version(version: str) -> str:
    """Version of a bundle calibrated anew: the minor number grows; any other form gets ``.1`` appended.

    Examples
    --------
    >>> next_version("1.4.2"), next_version("7")
    ('1.5.0', '7.1')
    """
    if match := _VERSION.fullmatch(version):
        return f"{match[1]}.{int(match[2]) + 1}.0"
    return f"{version}.1"


@dataclass(frozen=True, slots=True)
class _Scored:
    logits: Array | str
    hashes: tuple[str, ...]


def _judge(reader: Reader, path: Path) -> _Scored:
    """Logits of a film, or why the gate refused it, and its hashes as stored and as corrected."""
    film = read_film(path, reader.limits)
    judged = reader.judge(film)
    hashes = tuple({_hash(film), _hash(judged.film)})
    if judged.outputs is None:
        return _Scored(judged.reading.reason or "the quality gate refused it", hashes)
    return _Scored(judged.outputs.logits[0], hashes)


def _hash(film: Film) -> str:
    return perceptual_hash(film.pixels)


def _without_seen(
    bundle: Bundle,
    table: FilmTable,
    logits: dict[int, Array],
    hashes: list[tuple[int, str]],
    left_out: dict[str, str],
) -> LocalFilms:
    """Leave out every film of a patient one of whose films is a near-duplicate of a training film."""
    try:
        near = within_reach([value for _, value in hashes], sorted(bundle.training_films.perceptual_hashes))
    except TableError as error:
        raise BundleError(
            f"bundle {bundle.name!r} {bundle.version} does not say usably which films it was trained on: {error}"
        ) from error
    patients, labels, sources, names = table.patients, table.labels, table.sources, table.image_ids
    seen = {patients[row] for (row, _), close in zip(hashes, near.tolist(), strict=True) if close}
    left_out = left_out | {names[row]: SEEN_FILM for row in logits if patients[row] in seen}
    kept = [row for row in logits if patients[row] not in seen]
    if not kept:
        reason = next(iter(left_out.values()), "the table has none")
        raise CalibrationError(
            f"a calibration needs films; none of {len(table)} can be used, the first left out because: {reason}"
        )
    return LocalFilms(
        logits=np.stack([logits[row] for row in kept]),
        labels=tuple(labels[row] for row in kept),
        patients=tuple(patients[row] for row in kept),
        sources=tuple(sources[row] for row in kept),
        left_out=left_out,
    )


def _training_ages(bundle: Bundle) -> dict[str, tuple[float, float] | None]:
    """Ages that trained each contrast: they belong to the network and stay."""
    stored: dict[str, Any] = bundle.description.get("training", {}).get("ages") or {}
    if not stored and bundle.calibration is not None:
        return {name: record.ages for name, record in bundle.calibration.thresholds.items()}
    return {name: (float(ages[0]), float(ages[1])) if ages else None for name, ages in stored.items()}


def _card(bundle: Bundle, calibration: Calibration, version: str) -> str:
    origin = (
        f"**Calibrated anew from version {bundle.version}** on {calibration.films} films of {calibration.patients} "
        "patients. The network is the same, byte for byte. Thresholds, temperatures, class mix and prediction sets are "
        "those below; figures at thresholds further down belong to the earlier version."
    )
    caution = (
        "Measured on the calibration films themselves, first film of each patient, exact 95 % intervals: they say how "
        "the thresholds were set, not how they will do."
    )
    mix = ", ".join(f"{name} {share:.1%}" for name, share in calibration.class_mix.items())
    lines = [
        f"# {bundle.name} {version}",
        "",
        origin,
        "",
        f"Class mix: {mix}.",
        "",
        "| contrast | low | high | sensitivity | specificity |",
        "|---|---|---|---|---|",
    ]
    for name, record in calibration.thresholds.items():
        point = calibration.operating_points[name]
        shares = (
            "not estimable"
            if share.estimate is None or share.low is None or share.high is None
            else f"{share.estimate:.3f} ({share.low:.3f}-{share.high:.3f}), {share.events}/{share.trials}"
            for share in (point.sensitivity, point.specificity)
        )
        lines.append(f"| {name} | {record.low:.3f} | {record.high:.3f} | {' | '.join(shares)} |")
    lines += [
        "",
        caution,
        "",
        "---",
        "",
    ]
    return "\n".join(lines) + bundle.card


def require_new(out: Path) -> None:
    """Refuse an output that exists, before films are spent on it.

    Raises
    ------
    OutputError
    """
    if out.exists():
        raise OutputError(f"a bundle is written to a folder that does not exist yet; {str(out)!r} does")
