"""A Ray cluster of two workers gives the numbers of one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from carina.errors import InputError, MissingExtraError
from carina.inference import cluster
from carina.inference.cluster import Cluster

_TEXTURE = """
import sys
from pathlib import Path
from carina.evidence.texture_films import MeasureOptions
from carina.evidence.texture_rows import film_rows
from carina.evidence.texture_run import extract_texture
from carina.tasks import default_task
from carina.texture import TextureSettings

rows = film_rows([Path(sys.argv[1])], default_task())
options = MeasureOptions(
    settings=TextureSettings.pyradiomics(None, bin_number=8), regions=("lungs",), lungs="given", doubtful=True
)
extract_texture(rows, Path(sys.argv[2]), options, workers=2, ray=sys.argv[3] or None)
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Head of a cluster of two nodes of one core each on this machine, started and ended for these tests."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed (extra 'ray')")
    # In a process of its own: Ray's own warnings are not this package's.
    code = (
        "import sys; from ray.cluster_utils import Cluster;"
        "c = Cluster(initialize_head=True, head_node_args={'num_cpus': 1, 'include_dashboard': False});"
        "c.add_node(num_cpus=1); print('ADDRESS', c.address, flush=True); sys.stdin.readline(); c.shutdown()"
    )
    started = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=tmp_path_factory.mktemp("cluster"),
    )  # fmt: skip
    assert started.stdout is not None
    said = next((line for line in started.stdout if line.startswith("ADDRESS")), "")
    try:
        yield said.split()[1]
    finally:
        started.communicate("\n", timeout=120)


@pytest.mark.slow
def test_texture_of_two_cluster_workers_is_that_of_one_process(
    address: str, make_table: Callable[..., Path], tmp_path: Path
) -> None:
    table = make_table(9)
    for name, where in (("one", ""), ("cluster", address)):
        words = [sys.executable, "-c", _TEXTURE, str(table), str(tmp_path / f"{name}.parquet"), where]
        subprocess.run(words, check=True, timeout=280, env={**os.environ, "OMP_NUM_THREADS": "1"})  # noqa: S603 - as above
    assert (tmp_path / "cluster.parquet").read_bytes() == (tmp_path / "one.parquet").read_bytes()


@pytest.mark.slow
def test_predictions_of_a_cluster_are_those_of_one_process(
    address: str, tiny_bundle: Path, make_film: Callable[..., Path], tmp_path: Path
) -> None:
    for number in range(5):
        make_film(tmp_path / f"films/{number}.png", seed=number)
    lines = []
    for name, more in (("one", []), ("cluster", ["--ray", address])):
        words = [
            "predict",
            "films",
            "--out",
            name,
            "--model",
            str(tiny_bundle),
            "--no-gate",
            "--no-lungs",
            "--no-layers",
        ]
        words = [sys.executable, "-m", "carina", *words, *more]
        subprocess.run(words, check=True, timeout=280, cwd=tmp_path)  # noqa: S603 - as above
        rows = (tmp_path / name / "predictions.jsonl").read_text("utf-8").splitlines()
        lines.append([{key: value for key, value in json.loads(row).items() if key != "seconds"} for row in rows])
    assert len(lines[0]) == 5
    assert lines[0] == lines[1]


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"carina-cxr\[ray\]"):
        Cluster(lambda: str, "auto")


@pytest.mark.parametrize(
    ("address", "said"), [("127.0.0.1:1", "none does"), ("nowhere", "HOST:PORT"), ("127.0.0.1:99999", "none does")]
)
def test_an_address_where_no_cluster_answers_is_refused(address: str, said: str) -> None:
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed (extra 'ray')")
    with pytest.raises(InputError, match=said):
        Cluster(lambda: str, address)
