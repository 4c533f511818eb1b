"""Verbs of the command line that a study's page may start, and the only arguments that they may get.

Each field of a verb is a choice from a list. Arguments are made here, from choices that are looked up in the lists
again by the worker that runs the verb: neither the page nor the database can put a word of its own into a command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from carina.errors import InputError
from carina.service.study_folders import StudyFolders

__all__ = ["VERBS", "Field", "Verb", "check_choices", "command_of"]

_Lists: TypeAlias = Callable[[StudyFolders], Mapping[str, str | Path]]


@dataclass(frozen=True, slots=True)
class Field:
    """One choice.

    Attributes
    ----------
    name : str
    words : str
    options : mapping, or callable that gives one of the study's folders
        What may be chosen, and the argument that it stands for; an empty argument leaves the option out.
    argument : str
        Option of the command line; empty for a positional argument, or a flag whose option is the argument itself.
    default : str
    """

    name: str
    words: str
    options: Mapping[str, str | Path] | _Lists
    argument: str = ""
    default: str = ""

    def listed(self, folders: StudyFolders) -> Mapping[str, str | Path]:
        """List what may be chosen in a study."""
        return self.options(folders) if callable(self.options) else self.options


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb.

    Attributes
    ----------
    name : str
        Of the command line.
    words, sentence : str
    fields : tuple of Field
        Positional ones first.
    into : str
        What of the run's folder ``--out`` names; ``"."`` for the folder itself, empty where the verb takes none.
    """

    name: str
    words: str
    sentence: str
    fields: tuple[Field, ...]
    into: str = "."


def _runs_of(kind: str) -> _Lists:
    return lambda folders: {run.name: run.path for run in folders.runs() if kind in run.kinds}


def _numbers(*values: int) -> dict[str, str]:
    return {"as the recipe says": "", **{str(value): str(value) for value in values}}


_MODEL: Final = Field("model", "Model", StudyFolders.models)
_TABLE: Final = Field("table", "Film table", StudyFolders.tables)
_SPLIT: Final = Field(
    "split",
    "Films",
    {"not learnt from": "", "test": "test", "tune": "tune", "calibrate": "calibrate"},
    "--split",
    "not learnt from",
)
_SEED: Final = Field("seed", "Seed", {str(value): str(value) for value in range(1, 6)}, "--seed", "1")

VERBS: Final = {
    verb.name: verb
    for verb in (
        Verb(
            "train",
            "Train",
            "A network on a film table; a bundle with thresholds comes out.",
            (
                _TABLE,
                Field("recipe", "Recipe", StudyFolders.recipes, "--recipe", "pneumonia"),
                Field(
                    "network",
                    "Network",
                    {
                        "as the recipe says": "",
                        **{name: name for name in ("efficientnet_lite0", "densenet121", "seed_cnn")},
                    },
                    "--network",
                    "as the recipe says",
                ),
                Field("convolutions", "Convolutions (seed_cnn)", _numbers(*range(1, 9)), "--convolutions"),
                Field("size", "Side of the input", _numbers(32, 64, 96, 128, 160, 192, 224, 256, 320), "--size"),
                Field("epochs", "Most passes", _numbers(1, 2, 4, 8, 12, 16, 24, 32, 48, 64), "--epochs"),
                Field("batch", "Films a step", _numbers(4, 8, 16, 32, 64), "--batch"),
                _SEED,
            ),
        ),
        Verb(
            "evaluate",
            "Evaluate",
            "A model on labelled films: every number with its interval and audit verdict.",
            (
                _MODEL,
                _TABLE,
                _SPLIT,
                Field("audit", "Shortcut audit", {"with": "", "without": "--no-audit"}, default="with"),
                Field("robustness", "Robustness", {"without": "", "with": "--robustness"}, default="without"),
                _SEED,
            ),
        ),
        Verb(
            "audit",
            "Audit",
            "Does the model read the disease, or where the film was taken?",
            (
                _MODEL,
                _TABLE,
                _SPLIT,
                Field("refit", "Readers without lungs", {"without": "", "with": "--refit"}, default="without"),
            ),
        ),
        Verb(
            "texture",
            "Texture",
            "Features of the lungs' texture, one row a film.",
            (
                _TABLE,
                Field(
                    "regions",
                    "Regions",
                    {"all nine": "", "both lungs": "lungs", "right and left": "right,left"},
                    "--regions",
                    "all nine",
                ),
                Field("lungs", "Lung fields", {"found": "found", "given": "given"}, "--lungs", "found"),
            ),
            "features.parquet",
        ),
        Verb(
            "calibrate",
            "Calibrate",
            "A model on local films: new thresholds, bound to its network.",
            (_MODEL, _TABLE, _SEED),
        ),
        Verb(
            "report",
            "Report",
            "An evaluation as one page to be read and passed on.",
            (
                Field("evaluation", "Evaluation", _runs_of("evaluation")),
                Field("films", "Most films that went wrong", {str(n): str(n) for n in (0, 6, 12, 24)}, "--films", "12"),
            ),
            "",
        ),
    )
}
"""Verbs by name."""


def check_choices(verb: str, given: Mapping[str, str], folders: StudyFolders) -> dict[str, str]:
    """Look every choice up in its list; one that was not made takes its default.

    Raises
    ------
    InputError
        If verb or choice is on no list.
    """
    known = VERBS.get(verb)
    if known is None:
        raise InputError(f"a job is one of {', '.join(VERBS)}; choose one of the list")
    chosen = {}
    for field in known.fields:
        listed = field.listed(folders)
        value = given.get(field.name) or field.default or next(iter(listed), "")
        if value not in listed:
            raise InputError(f"{field.words.lower()} must be one of the list; it may have changed, load the page again")
        chosen[field.name] = value
    return chosen


def command_of(verb: str, choices: Mapping[str, str], folders: StudyFolders, run: str, *, workers: int) -> list[str]:
    """Arguments of the command line, the verb first.

    Parameters
    ----------
    verb : str
    choices : mapping
        Checked here once more.
    folders : StudyFolders
    run : str
        Name of the run's folder.
    workers : int
        Processes, or threads of a training.

    Raises
    ------
    InputError
        If a choice is on no list, or the run's name is a path.
    """
    chosen, known = check_choices(verb, choices, folders), VERBS[verb]
    if Path(run).name != run or run.startswith((".", "-")):
        raise InputError("a run must have a plain name")
    positional, options = [], []
    for field in known.fields:
        value = str(field.listed(folders)[chosen[field.name]])
        if field.argument and value:
            options += [field.argument, value]
        elif value.startswith("--"):
            options.append(value)
        elif value and not field.argument:
            positional.append(value)
    if known.into:
        options += ["--out", str(folders.runs_folder / run / known.into)]
    return [verb, *positional, *options, *_shared(verb, folders, run, workers)]


def _shared(verb: str, folders: StudyFolders, run: str, workers: int) -> list[str]:
    if verb == "train":
        return ["--threads", str(workers), "--name", folders.study.name, "--bundle-version", run]
    if verb == "calibrate":
        return ["--threads", str(workers)]
    if verb == "report":
        cohort = folders.folder / "cohort"
        return ["--cohort", str(cohort)] if (cohort / "cohort.json").is_file() else []
    return ["--workers", str(workers)]
