"""Shared fixtures."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from carina.inference import write_bundle
from carina.tasks import default_task

_FILMS = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def films_folder() -> Path:
    """Folder of the real films (`cxr`, `dicom`); a test that needs it skips where it is absent."""
    if not (_FILMS / "cxr" / "images.csv").is_file():
        pytest.skip("the real films are absent: no ../shared/data/cxr/images.csv beside the checkout")
    return _FILMS


# The tiny network: brightness and darkness of 8 x 8 blocks of a 32 x 32 film, pooled, and one linear layer on them.
TINY_SIDE = 32
TINY_WEIGHTS = np.array([[-3.0, 2.0, 1.0, 0.5], [3.0, -1.0, 0.5, 0.0]], dtype=np.float32)
TINY_BIAS = np.array([0.1, 0.0, -0.1, 0.2], dtype=np.float32)


def tiny_network(weights: np.ndarray = TINY_WEIGHTS, bias: np.ndarray = TINY_BIAS) -> bytes:
    """ONNX file after the bundle contract, small enough to compute by hand.

    Features are (m, 1 - m), m the mean of the film in [0, 1]; logits are features @ weights + bias; a class map is
    ReLU(weights[0] * block mean + weights[1] * (1 - block mean)), 4 x 4.
    """
    onnx = pytest.importorskip("onnx", reason="bundles are built with the extra 'train'")
    from onnx import helper, numpy_helper  # noqa: PLC0415 - only where the extra is installed

    blocks = np.full((2, 1, 8, 8), 1.0 / 64.0, np.float32)
    blocks[1] *= -1.0
    constants = {
        "blocks": blocks,
        "offsets": np.array([0.0, 1.0], np.float32),
        "weights": weights.astype(np.float32),
        "bias": bias.astype(np.float32),
        "kernel": np.ascontiguousarray(weights.T.astype(np.float32))[:, :, None, None],
    }
    nodes = [
        helper.make_node("Conv", ["film", "blocks", "offsets"], ["filtered"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Relu", ["filtered"], ["activations"]),
        helper.make_node("GlobalAveragePool", ["activations"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "weights", "bias"], ["logits"]),
        helper.make_node("Conv", ["activations", "kernel"], ["raw_maps"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["raw_maps"], ["class_maps"]),
    ]
    classes = weights.shape[1]
    outputs = {"logits": ["B", classes], "class_maps": ["B", classes, 4, 4], "features": ["B", 2]}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("film", onnx.TensorProto.FLOAT, ["B", 1, TINY_SIDE, TINY_SIDE])],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def tiny_description(model: bytes, **changes: Any) -> dict[str, Any]:
    """`bundle.json` of the tiny network, calibrated; `changes` replace whole keys."""
    task = default_task()
    shares = dict(zip(task.classes, (0.4, 0.3, 0.2, 0.1), strict=True))
    calibration = {
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "temperature": {"root": 2.0, "pneumonia": 0.5},
        "class_mix": shares,
        "thresholds": {
            "pneumonia": {"low": 0.5, "high": 0.5, "ages": None},
            "covid19_given_pneumonia": {"low": 0.6, "high": 0.6, "ages": [1.0, 90.0]},
            "bacterial_given_pneumonia_without_covid19": {"low": 0.3, "high": 0.7, "ages": [1.0, 5.0]},
        },
        "operating_points": {},
        "conformal": {
            "coverage": 0.95,
            "quantiles": {"normal": 0.8, "bacterial": 0.9, "viral": 0.9, "covid19": 1.0},
            "patients": dict.fromkeys(task.classes, 60),
            "guaranteed": dict.fromkeys(task.classes, True),
        },
        "table_sha256": "0" * 64,
        "films": 240,
    }
    return {
        "name": "tiny",
        "version": 1,
        "task": task.model_dump(mode="json"),
        "preprocessing": {"size": TINY_SIDE, "framing": "whole", "intensity": "window"},
        "network": {"name": "tiny"},
        "calibration": calibration,
        "training": {"seed": 1, "films": {"perceptual_hashes": ["00ff00ff00ff00ff"], "patients": ["0123456789abcdef"]}},
        **changes,
    }


@pytest.fixture(scope="session")
def make_bundle() -> Callable[..., Path]:
    """Factory of tiny bundles: `make_bundle(folder, weights=..., bias=..., calibration=None, name=...)`."""

    def make(folder: Path, *, weights: np.ndarray = TINY_WEIGHTS, bias: np.ndarray = TINY_BIAS, **changes: Any) -> Path:
        model = tiny_network(weights, bias)
        write_bundle(folder, model, tiny_description(model, **changes), "# Tiny\n\nFor tests.\n")
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_bundle(make_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibrated bundle of the tiny network; read it, do not change it."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def make_film() -> Callable[..., Path]:
    """Factory of 8-bit grey PNG films: `make_film(path, pixels)`, or a bright disc drawn from `seed`."""

    def make(path: Path, pixels: np.ndarray | None = None, *, seed: int = 0, shape: tuple[int, int] = (40, 48)) -> Path:
        if pixels is None:
            noise = np.random.default_rng(seed)
            pixels = noise.integers(0, 60, shape, dtype=np.uint8)
            centre = (int(noise.integers(10, shape[1] - 10)), int(noise.integers(10, shape[0] - 10)))
            cv2.circle(pixels, centre, int(noise.integers(4, 16)), 230, -1)
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)
        return path

    return make


_PG_CTL = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Path]:
    """Socket folder of a PostgreSQL cluster of this test session alone; it listens on no network."""
    if not _PG_CTL:
        pytest.skip("PostgreSQL's server is not installed (Debian's package postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="carina-pg-"))
    as_owner: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        as_owner = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    control = [*as_owner, str(_PG_CTL[-1]), "--pgdata", str(folder / "data"), "--silent"]
    options = f"-k {folder} -c listen_addresses= -c fsync=off -c max_connections=20 -c shared_buffers=16MB"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=120)  # noqa: S603 - ours

    run(*control, "initdb", "--options", "--auth=trust --username=postgres --encoding=UTF8 --no-sync")
    try:
        run(*control, "--wait", "--options", options, "--log", str(folder / "log"), "start")
        yield folder
        run(*control, "--mode", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_DATABASES = count(1)


@pytest.fixture
def make_postgres_url(postgres_cluster: Path) -> Callable[[], str]:
    """Factory of URLs, each of an empty database of its own."""
    psycopg = pytest.importorskip("psycopg", reason="PostgreSQL needs the extra 'postgres'")

    def make() -> str:
        name = f"study{next(_DATABASES)}"
        with psycopg.connect(host=str(postgres_cluster), user="postgres", dbname="postgres", autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@/{name}?host={postgres_cluster}"

    return make


@pytest.fixture
def postgres_url(make_postgres_url: Callable[[], str]) -> str:
    """URL of an empty database."""
    return make_postgres_url()
