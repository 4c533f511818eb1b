"""The house rules that no linter holds: sizes of modules and functions, one home a thing, a light start."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "carina"
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 400
MOST_FUNCTION_LINES = 60  # of its body, docstring not counted
HEAVY = ("torch", "lightning", "monai", "kornia", "onnxruntime", "cv2", "pydicom", "polars", "scipy", "sklearn")


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _imports(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in it."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_modules_are_short() -> None:
    lengths = {_name(path): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_functions_are_short() -> None:
    long = {
        f"{_name(path)}:{node.name}": _body_lines(node)
        for path in MODULES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _body_lines(node) > MOST_FUNCTION_LINES
    }
    assert long == {}


def test_nothing_reads_pickles() -> None:
    readers = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
    found = {_name(path): sorted({name.split(".")[0] for name in _imports(path)} & readers) for path in MODULES}
    assert {name: names for name, names in found.items() if names} == {}


def test_every_torch_load_reads_weights_only() -> None:
    for path in MODULES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"torch.load", "np.load", "numpy.load"}:
                arguments = {word.arg: ast.unparse(word.value) for word in node.keywords}
                if ast.unparse(node.func) == "torch.load":
                    assert arguments.get("weights_only") == "True", f"{_name(path)}:{node.lineno}"
                else:
                    assert arguments.get("allow_pickle", "False") == "False", f"{_name(path)}:{node.lineno}"


def test_torch_has_one_home() -> None:
    homes = {
        path.relative_to(PACKAGE).parts[0]
        for path in MODULES
        if {name.split(".")[0] for name in _imports(path)} & {"torch", "lightning", "monai", "kornia", "torchmetrics"}
    }
    assert homes == {"networks"}


def test_the_version_has_one_home() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    home = PACKAGE / "__init__.py"
    version = re.search(r'__version__ = "([^"]+)"', home.read_text("utf-8"))
    assert version is not None
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == str(home.relative_to(ROOT))
    copies = [_name(path) for path in MODULES if path != home and f'"{version[1]}"' in path.read_text("utf-8")]
    assert copies == []


def test_no_setting_comes_from_the_environment() -> None:
    # `os.environ` handed on to a child process is no setting, but neither does the package need it.
    readers = {
        _name(path)
        for path in MODULES
        if re.search(
            r"os\.getenv|environ\.get|environ\[\s*[\"'](?!OMP_|MKL_|OPENBLAS_|NUMEXPR_)", path.read_text("utf-8")
        )
    }
    assert readers == set()


def test_public_names_of_each_package_are_written_down_and_sorted() -> None:
    for path in sorted(PACKAGE.rglob("__init__.py")):
        names = [
            [element.value for element in node.value.elts if isinstance(element, ast.Constant)]
            for node in _tree(path).body
            if isinstance(node, ast.Assign)
            and isinstance(node.value, ast.List)
            and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
        ]
        if len(_tree(path).body) <= 1:
            continue  # a room whose parts are imported by name
        assert len(names) == 1, f"{_name(path)} has no __all__"
        ranked = sorted(names[0], key=_kind_then_name)
        assert names[0] == ranked, f"{_name(path)}: __all__ is not sorted"


def _kind_then_name(name: str) -> tuple[int, str]:
    """Order of an isort-style `__all__`: constants, classes, the rest."""
    if name.isupper():
        return (0, name)
    return (1 if name[0].isupper() else 2, name)


def test_suppressions_name_their_rule_and_reason() -> None:
    bare = re.compile(r"#\s*noqa(?!:\s*[A-Z]+[0-9]+)|#\s*type:\s*ignore(?!\[)")
    files = [path for top in ("src", "tests", "benchmarks", "scripts") for path in sorted((ROOT / top).rglob("*.py"))]
    found = {
        f"{_name(path)}:{number}"
        for path in files
        if path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if bare.search(line)
    }
    assert found == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["predict", "--help"], ["train", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['carina', *{arguments!r}]\n"
        "from carina.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own interpreter
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_predicting_needs_no_library_of_the_training_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    base = {re.split(r"[<>=\[]", requirement)[0] for requirement in project["dependencies"]}
    assert base & {"torch", "lightning", "monai", "kornia", "torchmetrics", "onnx"} == set()


def test_pinned_versions_meet_the_ranges_of_the_project() -> None:
    from packaging.requirements import Requirement  # noqa: PLC0415 - only this test needs it

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [item for group in project["optional-dependencies"].values() for item in group]
    pins = {
        Requirement(line).name: next(iter(Requirement(line).specifier)).version
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    }
    for requirement in map(Requirement, [*project["dependencies"], *extras]):
        assert requirement.name in pins, f"constraints.txt does not pin {requirement.name}"
        assert requirement.specifier.contains(pins[requirement.name]), str(requirement)
