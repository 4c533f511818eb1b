"""Every error Carina raises on purpose, typed by domain.

A message says what must hold, what was found and what to do, and never carries patient data (house rule 7). Anything a
user can cause is a `CarinaError`; the command line prints its message as one sentence and exits with `exit_status`.
"""

from __future__ import annotations

__all__ = [
    "BundleError",
    "CalibrationError",
    "CarinaError",
    "FilmRejectedError",
    "InputError",
    "MissingExtraError",
    "OutputError",
    "SettingsError",
    "TableError",
    "TaskError",
    "TextureError",
    "TrainingError",
    "WeightsError",
]


class CarinaError(Exception):
    """Base of every deliberate error.

    Attributes
    ----------
    exit_status : int
        Exit status of a command that ends with this error: 2, wrong usage or input.
    """

    exit_status = 2


class FilmRejectedError(CarinaError):
    """A file that is not, or cannot be trusted as, one chest radiograph.

    Parameters
    ----------
    code : str
        Stable lower-case identifier, such as ``"truncated"`` or ``"not_a_picture"``; programs branch on it.
    message : str
        One sentence for a person.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type[FilmRejectedError], tuple[str, str]]:
        """Survive the way back from a decoding process."""
        return (type(self), (self.code, self.message))


class SettingsError(CarinaError):
    """A setting outside its range or unknown."""


class TaskError(CarinaError):
    """A task file that does not describe a task, or a label outside the task."""


class TableError(CarinaError):
    """A film table that breaks its contract."""


class BundleError(CarinaError):
    """A model bundle that is incomplete, altered, or made for something else."""


class WeightsError(CarinaError):
    """Weights that are missing, altered or do not fit the network; never silence, for without them it guesses."""


class TrainingError(CarinaError):
    """A training that cannot start or go on."""


class CalibrationError(CarinaError):
    """A calibration that the films given cannot support."""


class InputError(CarinaError):
    """Files or folders named to a verb that do not exist or hold nothing it can use."""


class OutputError(CarinaError):
    """An output that cannot be written."""


class RecordsError(CarinaError):
    """Extracts of hospital records, or their mapping, that cannot be read at all; bad rows are listed instead."""


class RemovalError(CarinaError):
    """Identifiers that cannot be removed, a key that is missing or open to others, or an identifier found again."""


class ArchiveError(CarinaError):
    """A study folder, database or store that is missing, of the wrong kind, altered or out of date."""


class CohortError(CarinaError):
    """Rules of a cohort that cannot be applied, or records that cannot carry one."""


class SharingError(CarinaError):
    """A shared package, or the key that signs it, that must not be trusted."""


class TextureError(CarinaError):
    """Texture that cannot be measured: a region without any, a picture with NaN, settings that do not hold together."""


class MissingExtraError(CarinaError):
    """A verb whose optional dependencies are not installed."""

    def __init__(self, verb: str, extra: str) -> None:
        super().__init__(
            f"`carina {verb}` needs the extra {extra!r}; install it with: pip install 'carina-cxr[{extra}]'"
        )
        self.verb = verb
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        """Survive the way back from a prediction process."""
        return (type(self), (self.verb, self.extra))
