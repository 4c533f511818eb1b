"""The generated parts of the documentation are what the code says now."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
import typer

from carina.cli import app
from carina.inference import Reading

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "scripts/generate_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_generated_part_is_up_to_date(generator: ModuleType) -> None:
    pytest.importorskip("torch", reason="the settings of a recipe need the extra 'train'")
    stale = [path.name for path, text in generator.pages() if path.read_text("utf-8") != text]
    assert stale == [], "run scripts/generate_docs.py"


def test_every_generator_is_used_by_a_page(generator: ModuleType) -> None:
    text = "".join(path.read_text("utf-8") for path in DOCS.rglob("*.md"))
    assert {name for name in generator.GENERATED if f"<!-- generated: {name} -->" not in text} == set()


@pytest.mark.parametrize("verb", ["predict", "train"])
def test_the_page_shows_what_the_command_prints(verb: str) -> None:
    code = f"import sys; sys.argv = ['carina', {verb!r}, '--help']; from carina.cli import main; main()"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert done.stdout.strip() in (DOCS / "reference/cli.md").read_text("utf-8")


def test_every_verb_has_an_example_in_its_help() -> None:
    group = typer.main.get_command(app)
    for name, verb in group.commands.items():
        assert f"Example: carina {name} " in (verb.help or ""), name


def test_every_verb_stands_on_the_command_line_page() -> None:
    page = (DOCS / "reference/cli.md").read_text("utf-8")
    group = typer.main.get_command(app)
    assert re.findall(r"^## carina (\S+)$", page, re.MULTILINE) == list(group.commands)


def test_the_example_prediction_has_the_keys_of_a_reading() -> None:
    example = json.loads((DOCS / "contracts/example_prediction.json").read_text("utf-8"))
    assert list(example) == [field.name for field in fields(Reading)]


def test_every_key_of_a_reading_is_explained() -> None:
    page = (DOCS / "contracts/predictions.md").read_text("utf-8")
    rows = "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    assert {field.name for field in fields(Reading) if f"`{field.name}`" not in rows} == set()


def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the documentation needs the extra 'docs'")
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},  # the theme announces its successor
    )
    assert done.returncode == 0, done.stdout + done.stderr
    foreign = {
        match
        for page in (tmp_path / "site").rglob("*.html")
        for match in re.findall(
            r"(?:src|href)=\"(https?://[^\"]+)\"[^>]*(?:stylesheet|preconnect)", page.read_text("utf-8")
        )
    }
    assert foreign == set()


def test_the_readme_gives_no_figure_that_the_shipped_card_does_not() -> None:
    card = (ROOT / "src/carina/models/pneumonia/MODEL_CARD.md").read_text("utf-8")
    figure = re.compile(r"\d\.\d{3} \(\d\.\d{3}-\d\.\d{3}\)")
    section = (ROOT / "README.md").read_text("utf-8").partition("## How well does it do?")[2].partition("\n## ")[0]
    given = figure.findall(section)
    assert given
    assert [one for one in given if one not in card] == []
