"""Pictures to fit the quality gate with: augmented films, cropped films, and things that are no frontal chest film.

Everything here turns 8-bit squares into 8-bit squares with a NumPy generator, so that a fitting can be replayed from
its seed. None of it aims at realism: a gate learns its boundary from variety.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from carina.networks.gate_drawings import SIDE as WORK
from carina.networks.gate_drawings import chance, drawing, scaled
from carina.types import Bytes

__all__ = ["WORK", "augmented", "cropped", "drawn", "from_picture", "scrambled", "turned"]

Generator = np.random.Generator


def turned(picture: Bytes, state: int) -> Bytes:
    """Bring an upright picture into a state: ``state // 2`` quarter turns counter-clockwise, inverted where odd."""
    rotated = np.rot90(picture, state // 2)
    return np.ascontiguousarray(255 - rotated if state % 2 else rotated)


def augmented(film: Bytes, rng: Generator) -> Bytes:
    """One more film: moved, mirrored, bordered, brighter or darker, with noise, tubes, text or a white-out."""
    picture = film[:, ::-1] if chance(rng, 0.5) else film
    picture = _moved(_trimmed(picture, rng) if chance(rng, 0.3) else np.ascontiguousarray(picture), rng)
    for change, share in (
        (_white_out, 0.15),
        (_tubes, 0.25),
        (_border, 0.2),
        (_text, 0.25),
        (_illumination, 0.3),
        (_grey_scale, 0.8),
        (_blurred, 0.35),
        (_noisy, 0.3),
    ):
        if chance(rng, share):
            picture = change(picture, rng)
    return picture


def cropped(film: Bytes, rng: Generator) -> Bytes:
    """Cut away so much that a good part of the lungs is gone: one side, a corner, or all but the middle."""
    width, height = rng.uniform(0.25, 0.6, 2)
    left, top = rng.uniform(0.0, 1.0 - width), rng.uniform(0.0, 1.0 - height)
    part = (left, top, left + width, top + height)
    sides = (
        (rng.uniform(0.28, 0.6), 0.0, 1.0, 1.0),
        (0.0, 0.0, 1.0 - rng.uniform(0.28, 0.6), 1.0),
        (0.0, rng.uniform(0.33, 0.65), 1.0, 1.0),
        # lower, because below the lungs there may be much belly
        (0.0, 0.0, 1.0, 1.0 - rng.uniform(0.45, 0.7)),
    )
    left, top, right, bottom = (*sides, part, part)[int(rng.integers(6))]
    rows = slice(round(top * WORK), round(bottom * WORK))
    columns = slice(round(left * WORK), round(right * WORK))
    return _square(film[rows, columns])


def scrambled(films: Sequence[Bytes], rng: Generator) -> Bytes:
    """Make of chest films something that has their texture and not their build.

    Tiles, montages, thumbnails, jigsaws, strips, swirls, half turns of an eighth, phases at random.
    """
    ways: tuple[Callable[[Sequence[Bytes], Generator], Bytes], ...] = (
        _tiles,
        _jigsaw,
        _jigsaw,
        _thumbnail,
        _strips,
        _swirl,
        _askew,
        _random_phase,
    )
    return ways[int(rng.integers(len(ways)))](films, rng)


def from_picture(picture: Bytes, rng: Generator) -> Bytes:
    """Vary a picture (h, w) or (h, w, 3) that is no chest film: cut, turned, mirrored, inverted, greys changed."""
    if picture.ndim > 2:  # noqa: PLR2004 - two axes are rows and columns, a third holds colours
        weights = rng.dirichlet((1.0, 1.0, 1.0)).astype(np.float32)
        picture = (picture[..., :3].astype(np.float32) @ weights).astype(np.uint8)
    if chance(rng, 0.75):
        rows, columns = (max(8, round(length * rng.uniform(0.25, 1.0))) for length in picture.shape)
        top = int(rng.integers(picture.shape[0] - min(rows, picture.shape[0]) + 1))
        left = int(rng.integers(picture.shape[1] - min(columns, picture.shape[1]) + 1))
        picture = picture[top : top + rows, left : left + columns]
    square = turned(_square(picture), int(rng.integers(8)))
    if chance(rng, 0.5):
        square = square[:, ::-1]
    return _grey_scale(np.ascontiguousarray(square), rng) if chance(rng, 0.5) else np.ascontiguousarray(square)


def drawn(rng: Generator) -> Bytes:
    """Draw something that is no chest film (`drawing`), sometimes noisy, sometimes blurred."""
    picture = drawing(rng)
    if chance(rng, 0.2):
        picture = 255 - picture
    if chance(rng, 0.3):
        picture = _noisy(picture, rng)
    if chance(rng, 0.3):
        picture = _blurred(picture, rng)
    return picture


# --- changes that leave a film a film ---


def _square(picture: Bytes) -> Bytes:
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), (WORK, WORK), interpolation=cv2.INTER_AREA), np.uint8)


def _trimmed(picture: Bytes, rng: Generator) -> Bytes:
    """Cut up to 10 % off each side, as tight collimation does."""
    top, left, bottom, right = (rng.uniform(0.0, 0.1, 4) * WORK).astype(int)
    return _square(picture[top : WORK - bottom, left : WORK - right])


def _moved(picture: Bytes, rng: Generator) -> Bytes:
    """Turn by up to 12 degrees, scale each axis by up to 12 %, shift by up to 7 %."""
    angle = np.deg2rad(np.clip(rng.normal(0.0, 5.0), -12.0, 12.0))
    zoom = rng.uniform(0.86, 1.12, 2) if chance(rng, 0.6) else np.full(2, rng.uniform(0.9, 1.1))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * zoom
    middle = np.full(2, WORK / 2.0)
    shift = middle - turn @ middle + rng.uniform(-0.07, 0.07, 2) * WORK
    fill = int(rng.choice((0, 0, int(rng.integers(256)))))
    mode = cv2.BORDER_CONSTANT if chance(rng, 0.6) else cv2.BORDER_REPLICATE
    matrix = np.column_stack([turn, shift])
    return np.asarray(cv2.warpAffine(picture, matrix, (WORK, WORK), borderMode=mode, borderValue=fill), np.uint8)


def _white_out(picture: Bytes, rng: Generator) -> Bytes:
    """One or two bright clouds over the middle of the film, up to a whole lung."""
    y, x = np.mgrid[0:WORK, 0:WORK].astype(np.float32) / WORK
    cover = np.zeros((WORK, WORK), np.float32)
    for _ in range(int(rng.integers(1, 3))):
        at_y, at_x = rng.uniform(0.25, 0.75, 2)
        wide_y, wide_x = rng.uniform(0.08, 0.25, 2)
        cloud = np.exp(-((((y - at_y) / wide_y) ** 2 + ((x - at_x) / wide_x) ** 2) ** 2)) * rng.uniform(0.3, 0.95)
        cover = np.maximum(cover, cloud.astype(np.float32))
    level = float(np.percentile(picture, rng.uniform(65, 97)))
    return np.asarray(picture * (1 - cover) + np.maximum(picture, level) * cover, np.uint8)


def _tubes(picture: Bytes, rng: Generator) -> Bytes:
    """Lines, clips and electrodes."""
    out = picture.copy()
    for _ in range(int(rng.integers(1, 7))):
        points = np.cumsum(rng.normal(0, WORK / 6, (6, 2)), axis=0) + rng.uniform(0, WORK, 2)
        grey = int(np.clip(rng.normal(215, 40), 0, 255))
        cv2.polylines(
            out, [points.astype(np.int32).reshape(-1, 1, 2)], False, grey, int(rng.integers(1, 3)), cv2.LINE_AA
        )
        if chance(rng, 0.4):
            at = rng.integers(0, WORK, 2)
            cv2.circle(out, (int(at[0]), int(at[1])), int(rng.integers(2, 6)), grey, -1, cv2.LINE_AA)
    return out


def _border(picture: Bytes, rng: Generator) -> Bytes:
    """Margins of one grey, up to 15 % a side."""
    top, bottom, left, right = (int(chance(rng, 0.6) * rng.uniform(0, 0.15) * WORK) for _ in range(4))
    grey = int(rng.choice((0, 255, int(rng.integers(256)))))
    return _square(cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT, value=grey))


def _text(picture: Bytes, rng: Generator) -> Bytes:
    """Markers and words, mostly near the corners."""
    out = picture.copy()
    for _ in range(int(rng.integers(1, 5))):
        word = str(rng.choice(("R", "L", "AP", "PORTABLE", "SUPINE", "D", "12:30", "ERECT", "A", "(B)")))
        at = tuple(int(value) for value in rng.choice((0.04, 0.8), 2) * WORK + rng.uniform(0, 0.16, 2) * WORK)
        if chance(rng, 0.2):
            cv2.rectangle(out, at, (at[0] + 30, at[1] - 14), int(rng.choice((0, 255))), -1)
        cv2.putText(out, word, at, cv2.FONT_HERSHEY_SIMPLEX, rng.uniform(0.3, 0.9), int(rng.choice((0, 255, 220))), 1)
    return out


def _illumination(picture: Bytes, rng: Generator) -> Bytes:
    """Add a slope of brightness across the film, up to 40 % of the scale."""
    y, x = np.mgrid[-0.5 : 0.5 : WORK * 1j, -0.5 : 0.5 : WORK * 1j]
    slope = rng.uniform(-100, 100, 2)
    return np.asarray(np.clip(picture + slope[0] * y + slope[1] * x, 0, 255), np.uint8)


def _grey_scale(picture: Bytes, rng: Generator) -> Bytes:
    """Gamma, window, equalisation (whole or local), coarse greys."""
    if chance(rng, 0.12):
        return np.asarray(cv2.equalizeHist(picture), np.uint8)
    if chance(rng, 0.15):
        tiles = int(rng.integers(2, 9))
        return np.asarray(cv2.createCLAHE(rng.uniform(1.0, 6.0), (tiles, tiles)).apply(picture), np.uint8)
    low, high = np.percentile(picture, (rng.uniform(0, 10), rng.uniform(90, 100)))
    scaled = np.clip((np.arange(256) - low) / max(high - low, 1.0), 0, 1) ** np.exp(rng.normal(0.0, 0.45))
    levels = 255.0 if chance(rng, 0.9) else float(rng.integers(12, 40))
    return np.asarray(cv2.LUT(picture, (np.rint(scaled * levels) * (255.0 / levels)).astype(np.uint8)), np.uint8)


def _blurred(picture: Bytes, rng: Generator) -> Bytes:
    """Smooth, or shrink and enlarge: how sharp a film is must not tell what it shows."""
    if chance(rng, 0.5):
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 2.5)), np.uint8)
    side = int(rng.integers(48, WORK))
    return _square(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA))


def _noisy(picture: Bytes, rng: Generator) -> Bytes:
    """Gaussian, or salt and pepper."""
    if chance(rng, 0.7):
        return np.asarray(np.clip(picture + rng.normal(0, rng.uniform(2, 20), picture.shape), 0, 255), np.uint8)
    out = picture.copy()
    draw = rng.random(picture.shape)
    share = rng.uniform(0.002, 0.03)
    out[draw < share], out[draw > 1 - share] = 0, 255
    return out


# --- chest films spoilt ---


def _any(films: Sequence[Bytes], rng: Generator) -> Bytes:
    return films[int(rng.integers(len(films)))]


def _tiles(films: Sequence[Bytes], rng: Generator) -> Bytes:
    rows, columns = ((1, 2), (2, 1), (2, 2), (1, 3), (3, 3), (2, 3), (4, 4))[int(rng.integers(7))]
    one = _any(films, rng)
    same = chance(rng, 0.5)
    return _square(
        np.vstack([np.hstack([one if same else _any(films, rng) for _ in range(columns)]) for _ in range(rows)])
    )


def _jigsaw(films: Sequence[Bytes], rng: Generator) -> Bytes:
    parts = int(rng.choice((2, 3, 4, 6)))
    side = WORK // parts
    film = _any(films, rng)
    cells = [film[r * side : (r + 1) * side, c * side : (c + 1) * side] for r in range(parts) for c in range(parts)]
    order = rng.permutation(parts * parts)
    if np.array_equal(order, np.arange(parts * parts)):
        order = order[::-1]
    return _square(np.vstack([np.hstack([cells[i] for i in order[r * parts : (r + 1) * parts]]) for r in range(parts)]))


def _thumbnail(films: Sequence[Bytes], rng: Generator) -> Bytes:
    ground = drawn(rng) if chance(rng, 0.5) else np.full((WORK, WORK), int(rng.integers(256)), np.uint8)
    side = int(rng.uniform(0.2, 0.48) * WORK)
    top, left = (int(value) for value in rng.integers(0, WORK - side, 2))
    ground[top : top + side, left : left + side] = cv2.resize(
        _any(films, rng), (side, side), interpolation=cv2.INTER_AREA
    )
    return ground


def _strips(films: Sequence[Bytes], rng: Generator) -> Bytes:
    parts = int(rng.choice((3, 4, 6, 8)))
    strips = np.array_split(_any(films, rng), parts)
    order = np.roll(rng.permutation(parts), 1)
    if np.array_equal(order, np.arange(parts)):
        order = order[::-1]
    return turned(_square(np.vstack([strips[i] for i in order])), 2 * int(rng.integers(4)))


def _swirl(films: Sequence[Bytes], rng: Generator) -> Bytes:
    y, x = np.mgrid[0:WORK, 0:WORK].astype(np.float32) - WORK / 2
    radius = np.hypot(y, x)
    angle = np.arctan2(y, x) + rng.choice((-1, 1)) * rng.uniform(2.0, 5.0) * np.exp(
        -radius / (WORK * rng.uniform(0.2, 0.5))
    )
    to_x, to_y = radius * np.cos(angle) + WORK / 2, radius * np.sin(angle) + WORK / 2
    return np.asarray(cv2.remap(_any(films, rng), to_x.astype(np.float32), to_y.astype(np.float32), 1), np.uint8)


def _askew(films: Sequence[Bytes], rng: Generator) -> Bytes:
    matrix = cv2.getRotationMatrix2D((WORK / 2, WORK / 2), float(rng.uniform(33, 57) + 90 * rng.integers(4)), 1.0)
    return np.asarray(cv2.warpAffine(_any(films, rng), matrix, (WORK, WORK)), np.uint8)


def _random_phase(films: Sequence[Bytes], rng: Generator) -> Bytes:
    spectrum = np.abs(np.fft.rfft2(_any(films, rng).astype(np.float32)))
    phase = np.exp(1j * np.angle(np.fft.rfft2(rng.normal(size=(WORK, WORK)))))
    return scaled(np.fft.irfft2(spectrum * phase, (WORK, WORK)))
