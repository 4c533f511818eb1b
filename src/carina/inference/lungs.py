"""Lung fields of a film, found by a network of their own (M22): no torch.

The network's probabilities are cleaned on their own small grid (the largest piece of each lung, holes filled) and only
then brought to the film's size, so that a large film costs little more than a small one.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.errors import BundleError, InputError
from carina.imaging.lung_checks import check_fields
from carina.imaging.lung_fields import LEFT, RIGHT, LungFields, whole_piece
from carina.imaging.lung_medial import medial_shares
from carina.imaging.standardise import Standardisation, standardise
from carina.inference.bundle import load_bundle
from carina.types import Array, Bytes, Film

__all__ = ["SHIPPED", "LungFinder", "open_lung_network"]

_INPUT, _OUTPUT = "film", "fields"
_CHANNELS = 3
_HALF, _MIDDLE = np.float32(0.5), 127
_SURE = np.float32(0.1)
_ONE_PIECE = 2  # with the background
_CHECKED = 128  # side of the grid on which fields are checked, about
_SMALLEST = 32
_TASK = "lungs"
SHIPPED = Path(str(files("carina"))) / "models" / "lungs"
"""Folder of the bundle that ships with the package."""
_LOG_FATAL = 4


class _Session(Protocol):
    def run(self, output_names: list[str], input_feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]: ...


class LungFinder:
    """Finds lung fields; make one with `LungFinder.load` and use it for many films (safe from several threads).

    Parameters
    ----------
    session : object
        ONNX Runtime session; input ``film`` (B, 1, S, S) in [0, 1], output ``fields`` (B, 3, s, s), the probabilities
        of the patient's right field, left field, and of the part of both beside heart and mediastinum.
    preprocessing : Standardisation
    identity : dict of str to str
        Name, version and first digits of the model's hash.
    """

    def __init__(
        self, session: _Session, preprocessing: Standardisation, identity: dict[str, str] | None = None
    ) -> None:
        self._session = session
        self.preprocessing = preprocessing
        self.identity = identity or {}

    @classmethod
    def load(cls, path: Path | str | None = None, threads: int = 1) -> LungFinder:
        """Load the lung network that ships with the package, or another one.

        Parameters
        ----------
        path : Path, str or None
            Bundle of task ``lungs``, folder or zip; without one, the packaged network.
        threads : int
            Threads of one forward pass, at least 1.

        Returns
        -------
        LungFinder

        Raises
        ------
        BundleError
            If a file is missing or not the one that was hashed, the task is another, or the network has other inputs
            and outputs.
        """
        bundle = load_bundle(SHIPPED if path is None else Path(path), task=_TASK)
        return cls(open_lung_network(bundle.model, threads), bundle.preprocessing, bundle.identity)

    def find(self, film: Film | Array) -> LungFields:
        """Find the lung fields of a film.

        Parameters
        ----------
        film : Film or ndarray of float32, (H, W)
            Upright, intensities in [0, 1], 0 black (what `carina.inference.gate` hands on).

        Returns
        -------
        LungFields
            At the film's size, with a sentence in `flags` for each reason not to believe it; a film of one grey or a
            tiny one is flagged without asking the network.

        Raises
        ------
        InputError
            If `film` is an array without rows and columns of finite numbers.
        """
        pixels = film.pixels if isinstance(film, Film) else _checked(film)
        nothing = np.zeros(pixels.shape, np.uint8)
        if min(pixels.shape) < _SMALLEST:
            found = f"{pixels.shape[1]} x {pixels.shape[0]}"
            return LungFields(nothing, (f"a film must have {_SMALLEST} pixels a side for lung fields; found {found}",))
        square = standardise(pixels, self.preprocessing)
        if not square.any():
            return LungFields(nothing, ("the film is of one grey; no lung field was found",))
        return self._fields(self.probabilities(square), (pixels.shape[0], pixels.shape[1]))

    def probabilities(self, square: Bytes) -> Array:
        """Ask the network about one standardised film, uint8 (S, S); returns (3, s, s) in [0, 1]."""
        batch = square[None, None].astype(np.float32) / np.float32(255.0)
        return np.asarray(self._session.run([_OUTPUT], {_INPUT: batch})[0][0], np.float32)

    def _fields(self, maps: Array, shape: tuple[int, int]) -> LungFields:
        right, left, aerated = maps
        dropped, sides, small = 0, [], np.zeros(right.shape, np.uint8)
        for side, own, other in ((RIGHT, right, left), (LEFT, left, right)):
            found = np.asarray((own > _HALF) & (own >= other), np.uint8)
            kept = whole_piece(found)
            dropped += int(np.count_nonzero(found & (kept == 0)))
            small[kept > 0] = side
            # Beyond the kept piece nothing may cross one half again; within it no hole may stay.
            level = np.rint(own * np.float32(255.0))
            level = np.where(kept > 0, np.maximum(level, _MIDDLE + 2), np.minimum(level, _MIDDLE - 2))
            sides.append(np.asarray(level, np.uint8))
        mask = _labels(sides[0], sides[1], shape)
        total = dropped + int(np.count_nonzero(small))
        # Its measures are shares of the film, which a coarser grid tells as well and a tenth of the time.
        step = max(1, min(shape) // _CHECKED)
        coarse = np.ascontiguousarray(mask[step // 2 :: step, step // 2 :: step])
        for side in (RIGHT, LEFT):
            if cv2.connectedComponents(cv2.compare(coarse, side, cv2.CMP_EQ))[0] > _ONE_PIECE:  # a neck gave way
                whole = cv2.compare(mask, side, cv2.CMP_EQ) // 255
                mask[(whole > 0) & (whole_piece(whole) == 0)] = 0
        flags = check_fields(coarse, dropped=dropped / total if total else 0.0, unsure=_unsure(right, left))
        return LungFields(mask, flags, medial_shares(small, aerated))


def _unsure(right: Array, left: Array) -> float:
    """Area of middling probability over the area of lung."""
    lung = np.maximum(right, left)
    inside = int(np.count_nonzero(lung > _HALF))
    return int(np.count_nonzero((lung > _SURE) & (lung < 1.0 - _SURE))) / inside if inside else 0.0


def _labels(right: Bytes, left: Bytes, shape: tuple[int, int]) -> Bytes:
    """Enlarge both sides' levels, 0 to 255, to the film; a pixel belongs to the side that is surer of it."""
    size = (shape[1], shape[0])
    right, left = (cv2.resize(side, size, interpolation=cv2.INTER_LINEAR) for side in (right, left))
    of_right = cv2.compare(right, _MIDDLE, cv2.CMP_GT)
    of_left = cv2.compare(left, cv2.max(right, _MIDDLE), cv2.CMP_GT)
    of_right = cv2.bitwise_and(of_right, cv2.bitwise_not(of_left))
    return np.asarray(cv2.bitwise_or(cv2.bitwise_and(of_right, RIGHT), cv2.bitwise_and(of_left, LEFT)), np.uint8)


def _checked(pixels: Any) -> Array:
    values = np.asarray(pixels, np.float32)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():  # noqa: PLR2004 - rows and columns
        raise InputError(
            f"a film must have rows and columns of finite numbers in [0, 1]; found an array of shape {values.shape}"
        )
    return values


def open_lung_network(model: bytes, threads: int = 1) -> _Session:
    """Load the network of a lung bundle into ONNX Runtime."""
    import onnxruntime  # noqa: PLC0415 - 90 ms, and only where lungs are looked for

    onnxruntime.set_default_logger_severity(_LOG_FATAL)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base but Exception
        raise BundleError(f"model.onnx must be a network that ONNX Runtime loads; it says: {error}") from error
    inputs, outputs = [v.name for v in session.get_inputs()], [v.name for v in session.get_outputs()]
    if inputs != [_INPUT] or _OUTPUT not in outputs or session.get_outputs()[0].shape[1] != _CHANNELS:
        raise BundleError(
            f"a lung network must have the input {_INPUT!r} and the output {_OUTPUT!r} of {_CHANNELS} maps; "
            f"found {inputs!r} and {outputs!r}"
        )
    opened: _Session = session
    return opened
