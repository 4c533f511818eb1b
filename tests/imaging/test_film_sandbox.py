"""The decoding process: a crash, a hang or a lie is a refusal, and the next film is read."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from carina.imaging import read_film, sandbox
from carina.settings import Limits
from carina.types import Array

MakeDicom = Callable[..., bytes]
CodeOf = Callable[..., str]
RLE = "1.2.840.10008.1.2.5"
HEAD = "import os, struct, sys, time\nos.write(1, b'R')\nsys.stdin.buffer.read(4)\n"


@pytest.fixture
def pixels() -> Array:
    return np.random.default_rng(3).integers(0, 4096, (33, 21), dtype=np.uint16)


@pytest.fixture
def compressed(make_dicom: MakeDicom, pixels: Array) -> bytes:
    return make_dicom(pixels, compress=RLE)


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Put a scripted worker in the place of the real one."""
    monkeypatch.setattr(sandbox, "_POOL", sandbox._Pool())

    def script(body: str) -> None:
        path = tmp_path / "worker.py"
        path.write_text(body)
        monkeypatch.setattr(sandbox, "_WORKER", path)

    yield script
    sandbox._POOL.stop()


def test_crash(faulty: Callable[[str], None], compressed: bytes, code_of: CodeOf) -> None:
    faulty(HEAD + "os.abort()")
    assert code_of(compressed) == "decoder_crashed"


def test_hang_is_ended_at_the_limit(faulty: Callable[[str], None], compressed: bytes, code_of: CodeOf) -> None:
    faulty(HEAD + "time.sleep(60)")
    start = time.perf_counter()
    assert code_of(compressed, Limits(decode_seconds=0.3)) == "decoder_timeout"
    assert time.perf_counter() - start < 5.0


@pytest.mark.parametrize("length", [1, 2**62])
def test_answer_of_another_size_is_not_believed(
    faulty: Callable[[str], None], compressed: bytes, code_of: CodeOf, length: int
) -> None:
    faulty(HEAD + f"os.write(1, b'K' + struct.pack('<Q', {length}) + bytes(9))\ntime.sleep(60)")
    assert code_of(compressed) == "damaged"


def test_worker_that_does_not_start(faulty: Callable[[str], None], compressed: bytes, code_of: CodeOf) -> None:
    faulty("raise SystemExit(1)")
    assert code_of(compressed) == "decoder_unavailable"


def test_films_are_read_after_a_crash(
    faulty: Callable[[str], None], compressed: bytes, code_of: CodeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty(HEAD + "os.abort()")
    assert code_of(compressed) == "decoder_crashed"
    monkeypatch.setattr(sandbox, "_WORKER", Path(sandbox.__file__).with_name("decoding_worker.py"))
    assert read_film(compressed).pixels.shape == (33, 21)


def test_worker_killed_between_two_films_is_replaced(compressed: bytes) -> None:
    first = read_film(compressed)
    for worker in sandbox._POOL._idle:
        worker.process.kill()
        worker.process.wait()
    np.testing.assert_array_equal(read_film(compressed).pixels, first.pixels)


def test_one_worker_is_used_again(compressed: bytes) -> None:
    read_film(compressed)
    before = [worker.process.pid for worker in sandbox._POOL._idle]
    read_film(compressed)
    assert [worker.process.pid for worker in sandbox._POOL._idle] == before


def test_memory_limit(make_dicom: MakeDicom, code_of: CodeOf) -> None:
    file = make_dicom(np.zeros((6000, 6000), np.uint16), compress=RLE)  # 72 MB once decoded
    assert code_of(file, Limits(decode_bytes=64 << 20)) in {"decoder_memory", "decoder_crashed", "damaged"}
    assert read_film(file).pixels.shape == (6000, 6000)


def test_many_threads(make_dicom: MakeDicom) -> None:
    arrays = [np.random.default_rng(seed).integers(0, 4096, (40, 30), dtype=np.uint16) for seed in range(12)]
    native = [read_film(make_dicom(array)).pixels for array in arrays]
    files = [make_dicom(array, compress=RLE) for array in arrays]
    with ThreadPoolExecutor(4) as threads:
        for film, expected in zip(threads.map(read_film, files * 3), native * 3, strict=True):
            np.testing.assert_array_equal(film.pixels, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_process_starts_its_own_worker(compressed: bytes) -> None:
    expected = read_film(compressed).pixels.tobytes()
    script = (
        "import os, sys\nfrom carina.imaging import read_film\n"
        "data = sys.stdin.buffer.read()\na = read_film(data).pixels.tobytes()\n"
        "pid = os.fork()\nb = read_film(data).pixels.tobytes()\n"
        "assert a == b\n"
        "if pid: assert os.waitpid(pid, 0)[1] == 0\n"
        "if pid: sys.stdout.buffer.write(a)\n"
    )
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-W", "error", "-c", script], input=compressed, capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (expected, b"")


def test_worker_knows_neither_torch_nor_pydicom() -> None:
    worker = Path(sandbox.__file__).with_name("decoding_worker.py")
    script = (
        f"import runpy, sys\nrunpy.run_path({str(worker)!r}, run_name='x')\n"
        "print(sorted({'torch', 'pydicom', 'carina', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, check=True)  # noqa: S603 - our own script
    assert done.stdout.strip() == b"[]"
