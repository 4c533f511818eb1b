"""What lies in the folders of a research study that the settings name; nothing outside them is ever looked at.

Names that come back from a page are looked up in lists that are made here, and never joined to a path: a name that is
on no list is refused, and a link that leads out of its folder is on none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from carina.errors import InputError
from carina.settings import ResearchStudy

__all__ = ["Run", "StudyFolders"]

SHIPPED: Final = ("pneumonia", "pneumonia-seed")
_TABLES: Final = ("film_table.parquet", "film_table.csv")
_LARGEST: Final = 64 * 1024 * 1024
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Run:
    """One folder of a study's runs.

    Attributes
    ----------
    name : str
    path : Path
    kinds : tuple of str
        What it holds: ``"model"``, ``"evaluation"``, ``"report"``, ``"audit"``, ``"texture"``.
    made_at : float
        Seconds since 1970.
    """

    name: str
    path: Path
    kinds: tuple[str, ...]
    made_at: float


class StudyFolders:
    """Folders of one research study.

    Parameters
    ----------
    study : ResearchStudy
        As the settings name it.
    """

    def __init__(self, study: ResearchStudy) -> None:
        self.study = study
        self.folder = study.folder.resolve()
        self.runs_folder = study.runs.resolve()

    def runs(self) -> list[Run]:
        """Every run, newest first; at most 500."""
        found = []
        for path in self._inside(self.runs_folder):
            kinds = tuple(kind for kind, name in _KINDS if _is_file(path / name, self.runs_folder))
            if kinds:
                found.append(Run(path.name, path, kinds, path.stat().st_mtime))
        return sorted(found, key=lambda run: run.made_at, reverse=True)[:_MOST]

    def run(self, name: str, kind: str | None = None) -> Run:
        """Find a run, and one of a kind where that is wanted.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        for run in self.runs():
            if run.name == name and (kind is None or kind in run.kinds):
                return run
        raise InputError(f"the study must have this {kind or 'run'}; choose one of the list")

    def tables(self) -> dict[str, Path]:
        """Film tables: of the cohort, of the folder ``tables`` among the runs, and as a training has split them."""
        cohort = self.folder / "cohort"
        found = {f"cohort/{name}": cohort / name for name in _TABLES if _is_file(cohort / name, self.folder)}
        tables = self.runs_folder / "tables"
        for path in _sorted(tables):
            if path.suffix in (".csv", ".parquet") and _is_file(path, self.runs_folder):
                found[f"tables/{path.name}"] = path
        for run in self.runs():
            if _is_file(run.path / "split.csv", self.runs_folder):
                found[f"{run.name}/split.csv"] = run.path / "split.csv"
        return found

    def models(self) -> dict[str, str | Path]:
        """Models: the shipped ones by name, and bundles of runs."""
        found: dict[str, str | Path] = {name: name for name in SHIPPED}
        for run in self.runs():
            if "model" in run.kinds:
                nested = run.path / "bundle"
                found[run.name] = nested if (nested / "bundle.json").is_file() else run.path
        return found

    def recipes(self) -> dict[str, str | Path]:
        """Recipes: the packaged ones by name, and TOML files of the folder ``recipes`` among the runs."""
        found: dict[str, str | Path] = {name: name for name in SHIPPED}
        for path in _sorted(self.runs_folder / "recipes"):
            if path.suffix == ".toml" and _is_file(path, self.runs_folder):
                found[f"recipes/{path.name}"] = path
        return found

    def cohort(self) -> dict[str, Any] | None:
        """Return ``cohort.json``; None where no cohort was made, or it cannot be read."""
        return read_json(self.folder / "cohort" / "cohort.json", self.folder)

    def cohort_file(self, name: str) -> bytes | None:
        """Content of a file of the cohort's folder; None where there is none."""
        path = self.folder / "cohort" / name
        return path.read_bytes() if _is_file(path, self.folder) else None

    def rejected(self) -> Path | None:
        """List of the rejected rows of the records; None where there is none."""
        path = self.folder / "rejected_records.csv"
        return path if _is_file(path, self.folder) else None

    def verdicts(self, model_sha256: str) -> dict[str, str]:
        """Verdicts of the newest shortcut audit of a network among the runs, by contrast; empty without one."""
        for run in self.runs():
            for name in ("audit.json", "audit/audit.json"):
                audit = read_json(run.path / name, self.runs_folder) or {}
                if (audit.get("model") or {}).get("model_sha256") == model_sha256:
                    said = audit.get("verdicts") or {}
                    return {str(key): str(one.get("verdict")) for key, one in said.items() if isinstance(one, dict)}
        return {}

    @staticmethod
    def _inside(root: Path) -> Iterator[Path]:
        for path in _sorted(root):
            if not path.name.startswith(".") and path.is_dir() and path.resolve().parent == root:
                yield path


_KINDS: Final = (
    ("model", "bundle/bundle.json"),
    ("model", "bundle.json"),
    ("evaluation", "metrics.json"),
    ("report", "report.html"),
    ("audit", "audit.json"),
    ("texture", "features.parquet"),
)


def read_json(path: Path, root: Path) -> dict[str, Any] | None:
    """Return a JSON object from a file below a folder; None where there is no whole one."""
    if not _is_file(path, root) or path.stat().st_size > _LARGEST:
        return None
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _is_file(path: Path, root: Path) -> bool:
    # the attack is a link that leads to another patient's files, or to a key
    return path.is_file() and path.resolve().is_relative_to(root)


def _sorted(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
