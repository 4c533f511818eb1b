"""Write the generated parts of the documentation, or check that they are what the code says now.

Run: python scripts/generate_docs.py [--check]

A page holds ``<!-- generated: NAME -->`` and ``<!-- end: NAME -->``; what stands between them is written here.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import typer
from pydantic import BaseModel

from carina.cli import app
from carina.cohort import EXCLUSIONS, load_rules
from carina.deidentify import Policy
from carina.imaging import QUALITY_RULES, REJECTIONS
from carina.inference.reading import columns
from carina.settings import Settings
from carina.tasks import default_task

ROOT = Path(__file__).resolve().parents[1]
_MARK = re.compile(r"<!-- generated: (?P<name>[a-z-]+) -->\n.*?<!-- end: (?P=name) -->", re.DOTALL)
_RULE = re.compile(r"\bM([1-9]\d?)\b")
_WIDTH = "80"


def command_line() -> str:
    """``carina --help`` and the help of every verb."""
    os.environ["COLUMNS"] = _WIDTH
    group = typer.main.get_command(app)
    context = click.Context(group, info_name="carina")
    parts = [f"```text\n{group.get_help(context)}\n```"]
    for name in group.list_commands(context):
        verb = group.get_command(context, name)
        text = verb.get_help(click.Context(verb, info_name=name, parent=context))
        parts.append(f"## carina {name}\n\n```text\n{text}\n```")
        if isinstance(verb, click.Group):
            inner = click.Context(verb, info_name=name, parent=context)
            for part in verb.list_commands(inner):
                command = verb.get_command(inner, part)
                text = command.get_help(click.Context(command, info_name=part, parent=inner))
                parts.append(f"### carina {name} {part}\n\n```text\n{text}\n```")
    return "\n\n".join(parts)


def settings() -> str:
    """Every setting with its default, limits and meaning."""
    parts = []
    for name, section in Settings.model_fields.items():
        model = section.annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise TypeError(f"a settings section must be a model; {name!r} is {model!r}")
        lead = " ".join((model.__doc__ or "").split())
        parts.append(f"## `[{name}]`\n\n{lead}\n\n{_fields(model)}")
    return "\n\n".join(parts)


def recipe() -> str:
    """Every setting of a training recipe."""
    from carina.networks.recipe import Recipe  # noqa: PLC0415 - brings torch

    return _fields(Recipe)


def rejections() -> str:
    """Every reason for which a file is refused."""
    rows = [f"| `{code}` | {sentence} |" for code, sentence in REJECTIONS.items()]
    return "\n".join(["| code | the file is refused because |", "|---|---|", *rows])


def quality_rules() -> str:
    """Every rule of the quality gate."""
    rows = [f"| `{rule.code}` | {rule.sentence} |" for rule in QUALITY_RULES]
    return "\n".join(["| code | what must hold |", "|---|---|", *rows])


def prediction_columns() -> str:
    """Columns of ``predictions.csv`` for the default task."""
    return "```text\n" + "\n".join(columns(default_task())) + "\n```"


def default_task_file() -> str:
    """Return the packaged task file."""
    text = (ROOT / "src/carina/tasks/pneumonia.toml").read_text("utf-8")
    return f"```toml\n{text.strip()}\n```"


def cohort_rules() -> str:
    """Every rule of a cohort in its sentence."""
    return "\n".join(f"- {sentence}" for sentence in load_rules().sentences())


def cohort_exclusions() -> str:
    """Every reason for which a film is not in a cohort."""
    rows = [f"| `{reason.code}` | {reason.sentence} |" for reason in EXCLUSIONS]
    return "\n".join(["| code | why |", "|---|---|", *rows])


def deid_policy() -> str:
    """Every rule of de-identification in its sentence."""
    return "\n".join(f"- {sentence}" for sentence in Policy().sentences())


def rules() -> str:
    """Which modules and tests name which rule of the method."""
    found: dict[int, dict[str, set[str]]] = {}
    for top in ("src/carina", "tests"):
        for path in sorted((ROOT / top).rglob("*.py")):
            for number in _rules_named(path):
                found.setdefault(number, {"src/carina": set(), "tests": set()})[top].add(_shown(path))
    rows = ["| rule | code | tests that name it |", "|---|---|---|"]
    for number, places in sorted(found.items()):
        cells = [", ".join(f"`{name}`" for name in sorted(names)) for names in places.values()]
        rows.append(f"| M{number} | {cells[0]} | {cells[1]} |")
    return "\n".join(rows)


GENERATED: dict[str, Callable[[], str]] = {
    "cli": command_line,
    "settings": settings,
    "recipe": recipe,
    "rejections": rejections,
    "quality-rules": quality_rules,
    "prediction-columns": prediction_columns,
    "default-task": default_task_file,
    "cohort-rules": cohort_rules,
    "deid-policy": deid_policy,
    "cohort-exclusions": cohort_exclusions,
    "rules": rules,
}


def pages() -> Iterator[tuple[Path, str]]:
    """Every page with a generated part, and what it should be."""
    made: dict[str, str] = {}
    for path in sorted((ROOT / "docs").rglob("*.md")):
        text = path.read_text("utf-8")
        names = [match["name"] for match in _MARK.finditer(text)]
        if text.count("<!-- generated:") != len(names):
            raise SystemExit(f"{path.relative_to(ROOT)}: a generated part has no matching end")
        for name in names:
            if name not in GENERATED:
                raise SystemExit(f"{path.relative_to(ROOT)}: nothing generates {name!r}, only {sorted(GENERATED)}")
            if name not in made:
                made[name] = GENERATED[name]()
        if names:
            yield path, _MARK.sub(lambda match: _part(match["name"], made[match["name"]]), text)


def main() -> None:
    """Write the pages, or with ``--check`` name those that are out of date and exit with 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a page is out of date")
    check = parser.parse_args().check
    stale = [(path, text) for path, text in pages() if path.read_text("utf-8") != text]
    for path, text in stale:
        if not check:
            path.write_text(text, "utf-8")
        print(f"{path.relative_to(ROOT)}: {'out of date, run scripts/generate_docs.py' if check else 'written'}")
    if check and stale:
        sys.exit(1)


def _part(name: str, text: str) -> str:
    return f"<!-- generated: {name} -->\n{text}\n<!-- end: {name} -->"


def _fields(model: type[BaseModel]) -> str:
    rows = ["| setting | default | limits | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        default = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        rows.append(f"| `{name}` | {default} | {_limits(model, name)} | {field.description or ''} |")
    return "\n".join(rows)


def _limits(model: type[BaseModel], name: str) -> str:
    schema = model.model_json_schema()["properties"][name]
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return " ".join(f"{word} {schema[key]:g}" for key, word in words.items() if key in schema)


def _rules_named(path: Path) -> set[int]:
    """Read the rules that a module's docstrings and comments name; code itself may well have a variable M1."""
    text = path.read_text("utf-8")
    docs = [
        ast.get_docstring(node) or ""
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    ]
    comments = re.findall(r"#(.*)", text)
    return {int(number) for part in (*docs, *comments) for number in _RULE.findall(part)}


def _shown(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[1:]).removesuffix(".__init__") if parts[0] == "src" else "/".join(parts[1:])


if __name__ == "__main__":
    main()
