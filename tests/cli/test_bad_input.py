"""Whatever a user gives a verb: one sentence, the documented exit status, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from carina.cli import main as command
from carina.cli.main import main
from carina.errors import OutputError
from carina.imaging.phantom import Collection, write_phantoms
from carina.report import write_page


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    code = "from carina.cli import main; main()"
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    return subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


def test_a_file_name_that_is_not_utf8_is_judged_and_shown(
    make_film: Callable[..., Path], tmp_path: Path, tiny_bundle: Path
) -> None:
    (tmp_path / "films").mkdir()
    os.rename(make_film(tmp_path / "film.png", seed=1), os.fsencode(tmp_path / "films") + b"/f\xff.png")  # noqa: PTH104 - bytes
    done = _run("predict", tmp_path / "films", "--out", tmp_path / "out", "--model", tiny_bundle, "--no-gate")
    assert done.returncode == 0, done.stderr
    page = _run("page", tmp_path / "out")
    assert page.returncode == 0, page.stderr
    assert "f?.png" in (tmp_path / "out" / "page.html").read_text(encoding="utf-8")


def test_what_the_system_refuses_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device", "out/films.npy")

    monkeypatch.setattr(sys.modules[main.__module__], "app", full)
    with pytest.raises(SystemExit) as ended:
        command()
    assert ended.value.code == 2
    assert capsys.readouterr().err == ("carina: the system refused to go on 'out/films.npy': No space left on device\n")


def test_an_interruption_is_one_sentence_whatever_the_verb(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("carina.imaging.phantom.write_phantoms", interrupted)
    monkeypatch.setattr(sys, "argv", ["carina", "phantom", str(tmp_path / "films"), "--films", "1"])
    with pytest.raises(SystemExit) as ended:
        command()
    assert ended.value.code == 130
    assert capsys.readouterr().err.strip() == "carina: interrupted; the same command may be run again"


def _page(folder: Path) -> None:
    with (folder / "predictions.jsonl").open("wb") as file:
        file.write(b'{"file": "a.png", "decision": "normal"}\n')
    write_page(folder, folder / "page.html")


def _phantoms(folder: Path) -> None:
    write_phantoms(Collection(folder, films=1, size=64))


@pytest.mark.parametrize("write", [_page, _phantoms])
def test_a_full_disk_leaves_no_half_a_file(
    write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(path: Path, *_: object, **__: object) -> int:
        with path.open("wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space"):
        write(tmp_path)
    assert not list(tmp_path.rglob("*.part"))
