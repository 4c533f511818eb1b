"""The model that reads: the one that was activated, or else the one that the settings name.

A bundle is checked before it can be proposed, and copied into the store under its hash, so that what reads is what was
checked. Workers ask before each film which activation is in force.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Final

from carina.archive import NewModel, Study
from carina.errors import BundleError, CarinaError
from carina.inference import Bundle, FilmSource, PredictOptions, load_bundle, make_reader, zip_bundle
from carina.service.facts import audit_verdicts
from carina.settings import Settings

__all__ = ["check_model", "reading_bundle", "settings_model"]

_LOG: Final = logging.getLogger("carina.service")
_SIDE: Final = 256


def reading_bundle(study: Study, settings: Settings) -> tuple[int, Bundle]:
    """Load the bundle that reads.

    Returns
    -------
    tuple of (int, Bundle)
        And the number of its activation; 0 for the settings' before any.

    Raises
    ------
    BundleError
        If it does not load, or is not the one that was activated.
    """
    number, active = study.models.active_id(), study.models.active()
    if active is None or active.path is None:
        return number, load_bundle(settings.service.model)
    if study.store.folder is not None:
        bundle = load_bundle(study.store.path(active.path))
    else:
        with tempfile.TemporaryDirectory(dir=study.folder, prefix=".model-") as place:
            copy = Path(place) / "bundle.zip"
            copy.write_bytes(study.store.read(active.path))
            bundle = load_bundle(copy)
    if bundle.sha256 != active.bundle_sha256:
        raise BundleError(
            f"the store must hold the bundle that was activated, {active.bundle_sha256[:12]}; found "
            f"{bundle.sha256[:12]}: bring the store back from a backup, or go back to another model"
        )
    return number, bundle


def settings_model(settings: Settings) -> NewModel:
    """Describe the model that the settings name."""
    return _described(load_bundle(settings.service.model), None, "the settings", {})


def check_model(
    study: Study, settings: Settings, place: str | Path, *, origin: str, verdicts: dict[str, str]
) -> NewModel:
    """Check a bundle and copy it into the store.

    Parameters
    ----------
    study : Study
        Of kind service.
    settings : Settings
    place : str or Path
        Folder, zip, or the name of a shipped bundle.
    origin : str
        Where it comes from, in words.
    verdicts : dict of str to str
        Of a shortcut audit of this network, by contrast; else those in its card are taken.

    Returns
    -------
    NewModel

    Raises
    ------
    BundleError
        If it is not whole, has no thresholds of its own network, is for another task, or does not read a film.
    """
    bundle = load_bundle(place)  # refuses changed files, and thresholds that were set for another network
    if bundle.calibration is None:
        raise BundleError("a reading model must have thresholds bound to its network; this one was never calibrated")
    _, current = reading_bundle(study, settings)
    if (bundle.task.name, bundle.task.classes) != (current.task.name, current.task.classes):
        raise BundleError(
            f"a reading model must be for the task of the service, {current.task.name!r} with its classes; this one is "
            f"for {bundle.task.name!r}"
        )
    with tempfile.TemporaryDirectory(dir=study.folder, prefix=".model-") as scratch:
        _read_a_phantom(bundle, settings, Path(scratch))
        copy = Path(scratch) / "bundle.zip"
        source = Path(place)
        if source.exists():
            zip_bundle(source, copy)
        else:
            from carina.inference import find_bundle  # noqa: PLC0415 - a shipped one alone

            zip_bundle(find_bundle(place), copy)
        if load_bundle(copy).sha256 != bundle.sha256:
            raise BundleError("a bundle must not change while it is checked; this one did, propose it again")
        stored = study.store.put(copy.read_bytes(), folder="models", suffix=".zip")
    return _described(bundle, stored.path, origin, verdicts)


def _described(bundle: Bundle, path: str | None, origin: str, verdicts: dict[str, str]) -> NewModel:
    return NewModel(
        path=path,
        name=bundle.name,
        version=str(bundle.version),
        model_sha256=bundle.model_sha256,
        bundle_sha256=bundle.sha256,
        origin=origin,
        verdicts=verdicts or dict(audit_verdicts(bundle.card)),
    )


def _read_a_phantom(bundle: Bundle, settings: Settings, place: Path) -> None:
    """Let the bundle read one film that shows nobody: a graph that the engine refuses must not wait for a patient."""
    from carina.imaging.phantom import phantom_dicom, phantom_film  # noqa: PLC0415 - drawing is needed here alone

    film = place / "phantom.dcm"
    phantom_dicom(phantom_film(1, size=_SIDE), patient="ZZZ0016").save_as(film)
    for name in ("heatmaps", "lungs", "opacity"):
        (place / name).mkdir()
    try:
        reading = make_reader(bundle, PredictOptions(settings=settings), place).read(FilmSource(str(film)))
    except CarinaError as error:
        raise BundleError(f"a reading model must read a phantom film; this one could not: {error}") from error
    except Exception as error:
        _LOG.exception("a proposed model broke off")
        raise BundleError(
            f"a reading model must read a phantom film; this one broke off ({type(error).__name__})"
        ) from error
    if reading.error is not None:
        raise BundleError(f"a reading model must read a phantom film; this one could not: {reading.error.message}")
