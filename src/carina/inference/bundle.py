"""Model bundles: a network, what it decides, how it was calibrated, and the hashes that hold them together.

A bundle is data only: nothing in it is run but the arithmetic of the ONNX graph. It is a folder or a zip file with
``model.onnx``, ``bundle.json`` and ``MODEL_CARD.md``.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from carina import __version__
from carina.errors import BundleError, CalibrationError, OutputError, TaskError
from carina.imaging.standardise import Standardisation
from carina.inference.calibration import Calibration
from carina.tasks import Task, task_from_dict

__all__ = ["Bundle", "TrainingFilms", "default_bundle_path", "find_bundle", "load_bundle", "write_bundle", "zip_bundle"]

_FORMAT = 1
_MODEL = "model.onnx"
_CARD = "MODEL_CARD.md"
_DESCRIPTION = "bundle.json"
_HASHED = (_MODEL, _CARD)
_SHIPPED = ("pneumonia", "pneumonia-seed")
_MIB = 1024 * 1024
_UNPACKING = (zlib.error, lzma.LZMAError)
# Far above any network here; they bound what an archive from elsewhere can make this process read (zip bomb).
_LARGEST = {_MODEL: 1024 * _MIB, _DESCRIPTION: 64 * _MIB, _CARD: 16 * _MIB}


class _Description(BaseModel):
    """``bundle.json``; parts that other types parse stay mappings."""

    model_config = ConfigDict(extra="allow", frozen=True)

    format: int
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: int | str
    task: dict[str, Any]
    preprocessing: dict[str, Any]
    network: dict[str, Any] = Field(default_factory=dict)
    calibration: dict[str, Any] | None = None
    training: dict[str, Any] = Field(default_factory=dict)
    sha256: dict[str, str]


@dataclass(frozen=True, slots=True)
class TrainingFilms:
    """What a bundle remembers of the films it was trained on, so that none of them calibrates or tests it (M11).

    Attributes
    ----------
    perceptual_hashes : frozenset of str
        16 hex digits each; near-duplicates differ in a few bits.
    patients : frozenset of str
        First 16 hex digits of the SHA-256 of each patient identifier.
    """

    perceptual_hashes: frozenset[str]
    patients: frozenset[str]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified model bundle.

    Attributes
    ----------
    name, version : str
    model : bytes
        The ONNX file.
    model_sha256 : str
        Of `model`; thresholds belong to it.
    sha256 : str
        Of ``bundle.json``, hence of everything: it names the model's hash.
    task : Task
    preprocessing : Standardisation
    calibration : Calibration or None
        `None` where the bundle was never calibrated: its probabilities are then the network's own and it decides
        nothing.
    card : str
        ``MODEL_CARD.md``.
    description : dict
        ``bundle.json`` as it stands.
    """

    name: str
    version: str
    model: bytes
    model_sha256: str
    sha256: str
    task: Task
    preprocessing: Standardisation
    calibration: Calibration | None
    card: str
    description: dict[str, Any]

    @property
    def training_films(self) -> TrainingFilms:
        """Hashes of the films and patients it was trained on; empty where the bundle does not say."""
        stored = self.description.get("training", {}).get("films") or {}
        return TrainingFilms(
            frozenset(map(str, stored.get("perceptual_hashes", ()))), frozenset(map(str, stored.get("patients", ())))
        )

    @property
    def identity(self) -> dict[str, str]:
        """Name, version and first 12 digits of the model's hash, as a prediction carries them."""
        return {"name": self.name, "version": self.version, "sha256": self.model_sha256[:12]}


def default_bundle_path(name: str = "pneumonia") -> Path:
    """Folder of a bundle that ships with the package: ``"pneumonia"`` or ``"pneumonia-seed"``.

    Raises
    ------
    BundleError
        If no such bundle ships, or this installation lacks it.
    """
    if name not in _SHIPPED:
        raise BundleError(f"a model is a bundle's folder or zip, or one of {', '.join(_SHIPPED)}; found {name!r}")
    path = Path(str(files("carina"))) / "models" / name
    if not (path / _DESCRIPTION).is_file():
        raise BundleError(
            f"the model {name!r} should ship with carina and is not in this installation; "
            "install carina-cxr again, train it, or name a bundle's folder or zip with --model"
        )
    return path


def find_bundle(model: str | Path) -> Path:
    """Path of a bundle from its shipped name or its path.

    A shipped name given as text is that model, whatever lies in the working folder; a folder of that name is
    ``./pneumonia``.

    Raises
    ------
    BundleError
    """
    if isinstance(model, str) and model in _SHIPPED:
        return default_bundle_path(model)
    path = Path(model)
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise BundleError(f"a bundle must be readable; {str(model)!r}: {error.strerror}") from error
    else:
        return path
    raise BundleError(f"a model is a bundle's folder or zip, or one of {', '.join(_SHIPPED)}; found {str(model)!r}")


def load_bundle(source: str | Path, *, task: str | None = None) -> Bundle:
    """Read a bundle and check every byte of it.

    Parameters
    ----------
    source : str or Path
        Folder, zip file, or the name of a shipped bundle.
    task : str or None
        Name of the task that the bundle must be for.

    Returns
    -------
    Bundle

    Raises
    ------
    BundleError
        If a file is missing, unreadable, too large or not the one that was hashed, if the format is unknown, if the
        task is another, or if the thresholds were set for another model.
    """
    path = find_bundle(source)
    contents = read_contents(path)
    description = _parse(contents[_DESCRIPTION], path)
    for name in _HASHED:
        found = hashlib.sha256(contents[name]).hexdigest()
        if description.sha256.get(name) != found:
            raise BundleError(
                f"{name} in bundle {str(path)!r} must have the sha-256 that {_DESCRIPTION} gives, "
                f"{str(description.sha256.get(name))[:12]}; found {found[:12]}: it was changed, take a clean copy"
            )
    parsed = _task(description, path, task)
    model_sha256 = description.sha256[_MODEL]
    return Bundle(
        name=description.name,
        version=str(description.version),
        model=contents[_MODEL],
        model_sha256=model_sha256,
        sha256=hashlib.sha256(contents[_DESCRIPTION]).hexdigest(),
        task=parsed,
        preprocessing=_preprocessing(description, path),
        calibration=_calibration(description, path, parsed, model_sha256),
        card=contents[_CARD].decode("utf-8", errors="replace"),
        description=json.loads(contents[_DESCRIPTION]),
    )


def write_bundle(folder: Path, model: bytes, description: Mapping[str, Any], card: str) -> Bundle:
    """Write a bundle as a folder, whole or not at all.

    Parameters
    ----------
    folder : Path
        Must not exist yet: bundles are not changed, a calibration makes a new one.
    model : bytes
        The ONNX file.
    description : mapping
        ``bundle.json`` but for ``format``, ``carina_version``, ``created`` and ``sha256``, which are set here;
        ``carina_version`` and ``created`` are kept where given.
    card : str
        ``MODEL_CARD.md``.

    Returns
    -------
    Bundle
        Read back and verified.

    Raises
    ------
    OutputError
        If the folder exists or cannot be written.
    BundleError
        If the description does not describe a bundle.
    """
    if folder.exists():
        raise OutputError(f"a bundle is written to a folder that does not exist yet; {str(folder)!r} does")
    contents = {_MODEL: model, _CARD: card.encode("utf-8")}
    whole = {
        "format": _FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "carina_version": __version__,
        **{key: value for key, value in description.items() if key not in {"format", "sha256"}},
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }
    text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    contents[_DESCRIPTION] = text.encode("utf-8")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise OutputError(f"the bundle {str(folder)!r} cannot be written: {error.strerror}") from error
    try:
        for name, content in contents.items():
            (scratch / name).write_bytes(content)
        # mkdtemp makes folders for the owner alone; a bundle is no secret, it holds no patient data.
        scratch.chmod(0o755)
        load_bundle(scratch)
        scratch.rename(folder)
    except OSError as error:
        raise OutputError(f"the bundle {str(folder)!r} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return load_bundle(folder)


def zip_bundle(source: Path, target: Path) -> None:
    """Pack a bundle into one zip file, the same bytes every time.

    Parameters
    ----------
    source : Path
        Bundle, folder or zip; it is verified first.
    target : Path
        The zip file; replaced where it exists.

    Raises
    ------
    BundleError
    OutputError
    """
    load_bundle(source)
    contents = read_contents(source)
    scratch = target.with_name(f".{target.name}-{os.getpid()}")
    try:
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(contents):
                archive.writestr(zipfile.ZipInfo(name), contents[name], zipfile.ZIP_DEFLATED)
        scratch.replace(target)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise OutputError(f"the bundle {str(target)!r} cannot be written: {error.strerror}") from error


def read_contents(path: Path) -> dict[str, bytes]:
    """Files of a bundle by name, a folder or a zip, as they are; `load_bundle` verifies them."""
    return _read_folder(path) if path.is_dir() else _read_zip(path)


def _read_folder(path: Path) -> dict[str, bytes]:
    contents = {}
    for name, most in _LARGEST.items():
        try:
            with (path / name).open("rb") as file:
                contents[name] = file.read(most + 1)
        except OSError as error:
            raise BundleError(
                f"a bundle is a folder with {', '.join(_LARGEST)}; {name} in {str(path)!r} cannot be read: "
                f"{error.strerror}"
            ) from error
        _check_size(name, len(contents[name]), path)
    return contents


def _read_zip(path: Path) -> dict[str, bytes]:
    """Read the three members into memory; nothing is unpacked, so no member name reaches the disk (zip slip)."""
    contents = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name, most in _LARGEST.items():
                # The size in the archive's directory can lie; the read itself is bounded.
                with archive.open(name) as file:
                    contents[name] = file.read(most + 1)
                _check_size(name, len(contents[name]), path)
    except KeyError as error:
        raise BundleError(f"a bundle's zip holds {', '.join(_LARGEST)} at its top; {str(path)!r} does not") from error
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, *_UNPACKING) as error:
        raise BundleError(f"a bundle is a folder or a readable zip; {str(path)!r} is not: {error}") from error
    return contents


def _check_size(name: str, size: int, path: Path) -> None:
    if size > _LARGEST[name]:
        raise BundleError(
            f"{name} of a bundle must not exceed {_LARGEST[name] // _MIB} MiB; in {str(path)!r} it is larger"
        )


def _parse(content: bytes, path: Path) -> _Description:
    try:
        values = json.loads(content)
        if isinstance(values, dict) and values.get("format") != _FORMAT:
            raise BundleError(
                f"bundle {str(path)!r} has format {values.get('format')!r}; this carina reads format {_FORMAT}"
            )
        return _Description.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise BundleError(f"{_DESCRIPTION} in {str(path)!r} is not valid: {place}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{_DESCRIPTION} in {str(path)!r} must be JSON in UTF-8: {error}") from error


def _task(description: _Description, path: Path, wanted: str | None) -> Task:
    try:
        task = task_from_dict(description.task, origin=f"bundle {str(path)!r}")
    except TaskError as error:
        raise BundleError(str(error)) from error
    if wanted is not None and task.name != wanted:
        raise BundleError(f"bundle {str(path)!r} must be for task {wanted!r}; it is for task {task.name!r}")
    return task


def _preprocessing(description: _Description, path: Path) -> Standardisation:
    try:
        return Standardisation.model_validate(description.preprocessing)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise BundleError(f"the preprocessing in {str(path)!r} is not valid: {place}: {first['msg']}") from error


def _calibration(description: _Description, path: Path, task: Task, model_sha256: str) -> Calibration | None:
    if description.calibration is None:
        return None
    try:
        calibration = Calibration.from_dict(description.calibration)
        calibration.check_fits(task, model_sha256)
    except CalibrationError as error:
        raise BundleError(f"bundle {str(path)!r} cannot be used: {error}") from error
    return calibration
