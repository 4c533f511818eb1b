"""The films that went most wrong, read again through the model: film beside class map (M3, M23)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from carina.errors import CarinaError
from carina.inference import Bundle, PredictOptions, Reader, load_bundle, make_reader, normalise_map
from carina.report.evaluation_run import EvaluationRun
from carina.report.pictures import paired_picture

__all__ = ["GalleryFilm", "gallery_entries", "gallery_films", "run_bundle"]

_SIDE = 300


@dataclass(frozen=True, slots=True)
class GalleryFilm:
    """A film of the gallery.

    Attributes
    ----------
    entry : mapping
        As the run lists it.
    picture : str or None
        Data URI of film and class map.
    shows : str or None
        Class of the map.
    why : str or None
        Why there is no picture, or no map.
    """

    entry: Mapping[str, Any]
    picture: str | None
    shows: str | None
    why: str | None


def run_bundle(run: EvaluationRun, given: str | None = None) -> tuple[Bundle | None, str | None]:
    """Load the model that a run judged.

    Parameters
    ----------
    run : EvaluationRun
    given : str, optional
        Bundle, where it lies elsewhere by now.

    Returns
    -------
    bundle : Bundle or None
    why : str or None
        Why there is none.
    """
    model = run.model
    if model is None:
        return None, "predictions from a file were judged; no model is at hand"
    path = given or model.get("path") or model.get("bundle")
    if not path:
        return None, "the run does not name its bundle; give it with --model"
    try:
        bundle = load_bundle(str(path))
    except CarinaError as error:
        return None, f"its bundle could not be read: {error}"
    if model.get("model_sha256") not in {None, bundle.model_sha256}:
        return None, "the bundle that lies there now is another model than the one judged"
    return bundle, None


def gallery_films(
    run: EvaluationRun,
    bundle: Bundle | None,
    *,
    data: Path | None = None,
    most: int = 12,
    done: Callable[[int], None] | None = None,
) -> list[GalleryFilm]:
    """Read the gallery's films again.

    Parameters
    ----------
    run : EvaluationRun
    bundle : Bundle or None
        Without one, films are shown without a map.
    data : Path, optional
        Folder of the films, where the run's own paths no longer hold.
    most : int
        Films shown.
    done : callable, optional
        Called with the number of films finished.

    Returns
    -------
    list of GalleryFilm
        Also those that cannot be read, with the reason.
    """
    entries = gallery_entries(run)[:most]
    reader = None if bundle is None else make_reader(bundle, PredictOptions(layers=False, lungs=False), run.folder)
    found = []
    for count, entry in enumerate(entries, start=1):
        found.append(_read(entry, run, reader, data))
        if done is not None:
            done(count)
    return found


def gallery_entries(run: EvaluationRun) -> list[Mapping[str, Any]]:
    """Films of the gallery, each once: the worst of each contrast and kind of error, then the second worst ..."""
    kinds: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for entry in run.metrics.get("gallery") or []:
        if isinstance(entry, Mapping):
            kinds.setdefault((str(entry.get("contrast")), str(entry.get("kind"))), []).append(entry)
    unique: dict[str, Mapping[str, Any]] = {}
    for rank in zip_longest(*kinds.values()):
        for entry in rank:
            if entry is not None:
                unique.setdefault(str(entry.get("image_id") or entry.get("path")), entry)
    return list(unique.values())


def _read(entry: Mapping[str, Any], run: EvaluationRun, reader: Reader | None, data: Path | None) -> GalleryFilm:
    from carina.imaging import read_film  # noqa: PLC0415 - decoders are slow to load, and some reports need none

    path = _find(str(entry.get("path") or ""), run, data)
    if path is None:
        return GalleryFilm(entry, None, None, "film file not found; name its folder with --data")
    try:
        film = read_film(path)
        judged = None if reader is None else reader.judge(film)
    except (CarinaError, OSError):
        return GalleryFilm(entry, None, None, "film file cannot be read")
    if judged is None or judged.outputs is None or judged.frame is None or reader is None:
        why = "no class map: the model is not at hand" if reader is None else "no class map: refused by the gate"
        return GalleryFilm(entry, paired_picture(film.pixels, None, _SIDE), None, why)
    classes = reader.bundle.task.classes
    probabilities = judged.reading.probabilities or {}
    shown = max(range(len(classes)), key=lambda place: probabilities.get(classes[place], 0.0))
    heat = judged.frame.lay_out(normalise_map(judged.outputs.class_maps[0, shown]))
    picture = paired_picture(judged.film.pixels, np.asarray(heat, np.float32), _SIDE)
    return GalleryFilm(entry, picture, classes[shown], None)


def _find(name: str, run: EvaluationRun, data: Path | None) -> Path | None:
    if not name:
        return None
    table = run.metrics.get("table") or {}
    folders = [data, table.get("folder"), run.folder, Path()]
    tried = [Path(folder) / name for folder in folders if folder is not None]
    if data is not None:
        tried.append(data / Path(name).name)
    for path in tried:
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):
            continue
    return None
