"""What the README and the documentation tell people to type works."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import typer
from typer.testing import CliRunner

from carina.cli import app
from carina.cohort import load_rules
from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.records import load_mapping
from carina.settings import load_settings
from carina.tasks import default_task, load_task

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def _snippets(language: str) -> Iterator[tuple[str, str]]:
    """Page and text of every fenced block of a language."""
    for page in PAGES:
        for match in _FENCE.finditer(page.read_text("utf-8")):
            if match[2] == language:
                indent = len(match[1])
                yield page.name, "\n".join(line[indent:] for line in match[3].splitlines()) + "\n"


def _commands(*pages: str) -> list[str]:
    """Every `carina` command in the shell blocks, or of some pages."""
    return [
        line.strip()
        for page, text in _snippets("bash")
        for line in text.splitlines()
        if line.startswith("carina ") and (not pages or page in pages)
    ]


@pytest.mark.parametrize("command", sorted(set(_commands())))
def test_documented_commands_are_understood(command: str) -> None:
    _, *words = shlex.split(command, comments=True)
    group = typer.main.get_command(app)
    context = click.Context(group, info_name="carina")
    if words[0].startswith("--"):
        assert words[0] in {"--help", "--version"}
        return
    verb = group.get_command(context, words[0])
    assert verb is not None, f"there is no verb {words[0]!r}"
    verb.make_context(words[0], words[1:], parent=context)


def test_make_targets_named_in_the_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"`?\bmake ([a-z-]+)(?=`|  )", page.read_text("utf-8"))}
    assert named - targets == set()
    assert {"demo", "test", "check", "bench", "docs", "model"} <= targets


@pytest.mark.parametrize(("page", "code"), list(_snippets("python")))
def test_python_examples_run(
    page: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_bundle: Callable[..., Path]
) -> None:
    monkeypatch.chdir(tmp_path)
    phantom_dicom(phantom_film(1, size=256), patient="PHANTOM").save_as("film.dcm", enforce_file_format=True)
    make_bundle(tmp_path / "bundle")
    exec(compile(code, page, "exec"), {"__name__": "example"})  # noqa: S102 - our own pages


def test_toml_examples_are_what_they_claim(tmp_path: Path) -> None:
    tasks = settings = 0
    for page, text in _snippets("toml"):
        file = tmp_path / "example.toml"
        file.write_text(text, "utf-8")
        if "classes" in tomllib.loads(text):
            load_task(file)
            tasks += 1
        elif text.startswith("# settings"):
            load_settings(file)
            settings += 1
        elif text.startswith("# rules"):
            load_rules(file)
        elif text.startswith("# mapping"):
            load_mapping(file)
        else:
            pytest.fail(f"{page}: a TOML example of nothing known")
    assert tasks >= 2
    assert settings >= 1


def test_the_film_table_example_is_a_film_table(tmp_path: Path) -> None:
    from carina.sampling import read_film_table  # noqa: PLC0415 - polars, for this test alone

    (text,) = (text for page, text in _snippets("csv") if page == "film_table.md")
    table = tmp_path / "films.csv"
    table.write_text(text, "utf-8")
    assert len(read_film_table(table, default_task(), strict=True)) == 3


def test_links_between_the_pages_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if not target.startswith("http") and not (page.parent / target).exists()
    ]
    assert broken == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_quickstart_can_be_typed_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of the quickstart that needs no film of one's own and no shipped model, in its order."""
    pytest.importorskip("lightning", reason="training needs the extra 'train'")
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    typed = [line for line in _commands("quickstart.md") if " film.dcm " not in line and " /data/" not in line]
    assert len(typed) >= 8
    for line in typed:
        result = runner.invoke(app, shlex.split(line)[1:], catch_exceptions=False)
        assert result.exit_code in (0, 3), f"{line}\n{result.output}"
    assert (tmp_path / "readings/page.html").is_file()
    assert (tmp_path / "runs/first/bundle/MODEL_CARD.md").is_file()
    assert (tmp_path / "local-bundle/bundle.json").is_file()
