"""One forward pass: standardised films in; logits, class maps and features out."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from carina.errors import BundleError, MissingExtraError
from carina.types import Array, Bytes

__all__ = ["Engine", "Outputs", "Session", "open_session"]

Engine: TypeAlias = Literal["onnxruntime", "openvino"]

_INPUT = "film"
_OUTPUTS = ("logits", "class_maps", "features")
_BRANCHES = ("box_scores", "boxes", "opacity")
_LOG_FATAL = 4


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the network says of a batch of films.

    Attributes
    ----------
    logits : ndarray of float32, (B, K)
    class_maps : ndarray of float32, (B, K, h, w)
        Raw Grad-CAM of every class after ReLU, not normalised (M23).
    features : ndarray of float32, (B, D)
        Pooled features.
    box_scores : ndarray of float32, (B, N), or None
        Of every cell of the box branch, in [0, 1] (M21); `None` from a network without branches.
    boxes : ndarray of float32, (B, N, 4), or None
        x0, y0, x1, y1 in pixels of the network's input, before non-maximum suppression.
    opacity : ndarray of float32, (B, s, s), or None
        Score map in [0, 1] over the network's input (M22).
    """

    logits: Array
    class_maps: Array
    features: Array
    box_scores: Array | None = None
    boxes: Array | None = None
    opacity: Array | None = None


class Session(Protocol):
    """A loaded network."""

    def run(self, films: Bytes) -> Outputs:
        """Judge standardised films, uint8 (B, S, S)."""
        ...


def open_session(model: bytes, engine: Engine = "onnxruntime", threads: int = 1) -> Session:
    """Load a network into an inference engine.

    Parameters
    ----------
    model : bytes
        The ONNX file. External data are not followed: a bundle is one file, checked by its hash.
    engine : {"onnxruntime", "openvino"}
    threads : int
        Threads of one forward pass, at least 1. Results do not depend on how films are batched over processes.

    Returns
    -------
    Session

    Raises
    ------
    BundleError
        If the bytes are no ONNX network with the input and outputs of the bundle contract.
    MissingExtraError
        If the engine is not installed.
    """
    if engine == "openvino":
        if importlib.util.find_spec("openvino") is None:
            raise MissingExtraError("predict --engine openvino", "openvino")
        return _OpenVino(model, threads)
    return _OnnxRuntime(model, threads)


class _OnnxRuntime:
    """ONNX Runtime on the CPU."""

    def __init__(self, model: bytes, threads: int) -> None:
        import onnxruntime  # noqa: PLC0415 - 90 ms, and only where a film is judged

        # The runtime warns on standard error about hardware it probes in vain; its errors arrive as exceptions.
        onnxruntime.set_default_logger_severity(_LOG_FATAL)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.use_deterministic_compute = True
        # Threads that spin between films take the core of the other worker.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base but Exception
            raise BundleError(f"model.onnx must be a network that ONNX Runtime loads; it says: {error}") from error
        self._names = _check_names(
            [value.name for value in self._session.get_inputs()],
            [value.name for value in self._session.get_outputs()],
        )

    def run(self, films: Bytes) -> Outputs:
        """Judge standardised films, uint8 (B, S, S)."""
        return Outputs(*self._session.run(self._names, {_INPUT: _scaled(films)}))


class _OpenVino:
    """OpenVINO on the CPU, in full precision."""

    def __init__(self, model: bytes, threads: int) -> None:
        import openvino  # noqa: PLC0415 - optional

        core = openvino.Core()
        # Its default on CPUs with bfloat16 units is bfloat16, which moves probabilities by 5e-3 away from the
        # calibration; a bundle is calibrated in float32.
        options = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            compiled = core.compile_model(core.read_model(model), "CPU", options)
        except RuntimeError as error:
            first = str(error).strip().splitlines()[-1] if str(error).strip() else "no reason given"
            raise BundleError(f"model.onnx must be a network that OpenVINO loads; it says: {first}") from error
        self._names = _check_names(
            [value.get_any_name() for value in compiled.inputs],
            [name for value in compiled.outputs for name in value.get_names()],
        )
        self._request: Any = compiled.create_infer_request()

    def run(self, films: Bytes) -> Outputs:
        """Judge standardised films, uint8 (B, S, S)."""
        self._request.infer({_INPUT: _scaled(films)})
        # The tensors are the request's own memory, overwritten by the next film.
        values = [np.array(self._request.get_tensor(name).data, dtype=np.float32) for name in self._names]
        return Outputs(*values)


def _scaled(films: Bytes) -> Array:
    return films[:, None].astype(np.float32) / np.float32(255.0)


def _check_names(inputs: list[str], outputs: list[str]) -> list[str]:
    """Names of the outputs to fetch: those of the contract, and the branches' where the network has them all."""
    if inputs != [_INPUT] or not set(_OUTPUTS) <= set(outputs):
        raise BundleError(
            f"model.onnx must have the input {_INPUT!r} and the outputs {list(_OUTPUTS)!r}; "
            f"found {inputs!r} and {sorted(outputs)!r}"
        )
    return [*_OUTPUTS, *(_BRANCHES if set(_BRANCHES) <= set(outputs) else ())]
