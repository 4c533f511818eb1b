"""Drawings that are no chest film, for fitting the quality gate: noise, pages, figures, limbs, slices, fans."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.types import Array, Bytes

__all__ = ["SIDE", "chance", "drawing", "scaled"]

Generator = np.random.Generator
SIDE = 192
"""Side of the squares drawn, pixels."""


def drawing(rng: Generator) -> Bytes:
    """Draw one of: noise, clouds, gradient, bars, text page, figures, limb, hand, axial slice, ultrasound fan, spine.

    Returns
    -------
    ndarray of uint8, (192, 192)
    """
    ways: tuple[Callable[[Generator], Bytes], ...] = (
        _white_noise,
        _clouds,
        _clouds,
        _gradient,
        _bars,
        _text_page,
        _figures,
        _limbs,
        _limbs,
        _hand,
        _slice,
        _slice,
        _fan,
        _spine,
    )
    return ways[int(rng.integers(len(ways)))](rng)


def chance(rng: Generator, share: float) -> bool:
    """Say yes in this share of cases."""
    return bool(rng.random() < share)


def scaled(values: NDArray[np.floating]) -> Bytes:
    """Spread the 0.5th to the 99.5th percentile over 0 to 255."""
    low, high = np.percentile(values, (0.5, 99.5))
    return np.asarray(np.clip((values - low) * (255.0 / max(high - low, 1e-9)), 0, 255), np.uint8)


def _turned(picture: Bytes, rng: Generator) -> Bytes:
    return np.ascontiguousarray(np.rot90(picture, int(rng.integers(4))))


def _white_noise(rng: Generator) -> Bytes:
    side = int(rng.choice((8, 16, 32, 96, SIDE)))
    way = int(rng.choice((cv2.INTER_NEAREST, cv2.INTER_CUBIC)))
    return np.asarray(cv2.resize(rng.integers(0, 256, (side, side)).astype(np.uint8), (SIDE, SIDE), interpolation=way))


def _clouds(rng: Generator) -> Bytes:
    """Noise whose power falls with frequency; often mirrored, for much of the world is symmetrical."""
    fy, fx = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :]
    power = np.maximum(np.hypot(fy * rng.uniform(0.5, 2), fx), 1 / SIDE) ** -rng.uniform(0.8, 2.6)
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(SIDE, SIDE))) * power, (SIDE, SIDE))
    if chance(rng, 0.4):
        noise = noise + noise[:, ::-1]
    return scaled(noise)


def _gradient(rng: Generator) -> Bytes:
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    if chance(rng, 0.5):
        return scaled(rng.normal() * y + rng.normal() * x + 0.2 * rng.normal() * x * y)
    at = rng.uniform(-1, 1, 2)
    return scaled(rng.choice((-1, 1)) * np.hypot(y - at[0], (x - at[1]) * rng.uniform(0.3, 2)) ** rng.uniform(0.5, 2))


def _bars(rng: Generator) -> Bytes:
    count = int(rng.integers(2, 14))
    wave = np.repeat(rng.integers(0, 256, count), -(-SIDE // count))[:SIDE].astype(np.uint8)
    picture = np.tile(wave[:, None], (1, SIDE))
    if chance(rng, 0.4):
        other = np.repeat(rng.integers(0, 2, count), -(-SIDE // count))[:SIDE].astype(np.uint8) * 255
        picture = np.bitwise_xor(picture, other[None, :])
    return _turned(picture, rng)


def _text_page(rng: Generator) -> Bytes:
    picture = np.full((SIDE, SIDE), int(rng.integers(180, 256)), np.uint8)
    size = rng.uniform(0.25, 1.4)
    for y in np.arange(10, SIDE, 10 + 14 * size):
        words = "".join(
            chr(int(code)) for code in rng.choice((*range(97, 123), 32, 32, 32, 32), int(rng.integers(4, 50)))
        )
        cv2.putText(
            picture, words, (int(rng.integers(0, 30)), int(y)), int(rng.integers(0, 8)), size, int(rng.integers(90)), 1
        )
    return _turned(picture, rng)


def _figures(rng: Generator) -> Bytes:
    picture = np.full((SIDE, SIDE), int(rng.integers(256)), np.uint8)
    for _ in range(int(rng.integers(2, 25))):
        at, to = (tuple(int(value) for value in rng.integers(0, SIDE, 2)) for _ in range(2))
        grey, thick = int(rng.integers(256)), int(rng.choice((-1, 1, 2, 4)))
        way = int(rng.integers(3))
        if way == 0:
            cv2.rectangle(picture, at, to, grey, thick)
        elif way == 1:
            axes = tuple(int(value) for value in rng.integers(4, SIDE // 2, 2))
            cv2.ellipse(picture, at, axes, float(rng.uniform(0, 180)), 0, 360, grey, thick, cv2.LINE_AA)
        else:
            cv2.line(picture, at, to, grey, max(thick, 1), cv2.LINE_AA)
    return picture


def _bone(picture: Array, ends: NDArray[np.float64], thick: float, rng: Generator) -> None:
    """Add a shaft with bright cortex, a darker canal and wider ends to a float picture."""
    layer = np.zeros((SIDE, SIDE), np.float32)
    start, stop = (tuple(int(value) for value in end) for end in ends)
    cv2.line(layer, start, stop, 1.0, max(2, int(thick)), cv2.LINE_AA)
    for end in (start, stop):
        cv2.circle(layer, end, max(2, int(thick * rng.uniform(0.5, 0.9))), 1.0, -1, cv2.LINE_AA)
    inner = cv2.erode(layer, np.ones((3, 3), np.uint8), iterations=max(1, int(thick / 6)))
    picture += cv2.GaussianBlur(layer - 0.5 * inner, (0, 0), 1.0) * rng.uniform(60, 110)


def _limbs(rng: Generator) -> Bytes:
    """Draw a limb with one or two long bones, in any direction."""
    picture = np.zeros((SIDE, SIDE), np.float32)
    middle, angle = rng.uniform(0.35, 0.65, 2) * SIDE, rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    flesh = rng.uniform(0.2, 0.7) * SIDE
    ends = np.stack([middle - along * SIDE, middle + along * SIDE])
    start, stop = (tuple(int(value) for value in end) for end in ends)
    cv2.line(picture, start, stop, float(rng.uniform(40, 130)), int(flesh))
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(2, 8))
    for offset in (0.0,) if chance(rng, 0.4) else (-0.22, 0.22):
        at = middle + across * offset * flesh
        joint = at + along * rng.uniform(-0.6, 0.6) * SIDE
        thick = flesh * rng.uniform(0.12, 0.3)
        _bone(picture, np.stack([at - along * SIDE, joint - along * thick]), thick, rng)
        _bone(picture, np.stack([joint + along * thick, at + along * SIDE]), thick, rng)
    return scaled(picture)


def _hand(rng: Generator) -> Bytes:
    picture = np.zeros((SIDE, SIDE), np.float32)
    wrist = np.array([SIDE / 2 + rng.uniform(-15, 15), SIDE * 0.85])
    for angle in np.deg2rad(np.linspace(-35, 35, 5) + rng.normal(0, 3, 5)):
        along = np.array([np.sin(angle), -np.cos(angle)])
        start, stop = (tuple(int(value) for value in end) for end in (wrist, wrist + along * 0.78 * SIDE))
        cv2.line(picture, start, stop, 60.0, int(rng.integers(14, 26)), cv2.LINE_AA)
        joints = np.array([0.1, 0.4, 0.58, 0.7, 0.78]) * SIDE
        for near, far in pairwise(joints):
            _bone(picture, np.stack([wrist + along * (near + 3), wrist + along * (far - 3)]), 7, rng)
    return _turned(scaled(cv2.GaussianBlur(picture, (0, 0), 1.0)), rng)


def _slice(rng: Generator) -> Bytes:
    """Draw an axial slice: a bright or dark ring, organs within, black around."""
    picture = np.zeros((SIDE, SIDE), np.float32)
    at = tuple(int(value) for value in SIDE / 2 + rng.uniform(-12, 12, 2))
    axes = rng.uniform(0.25, 0.49, 2) * SIDE
    tilt = float(rng.uniform(-25, 25))
    skin, inside = rng.uniform(60, 255), rng.uniform(30, 160)
    cv2.ellipse(picture, at, tuple(int(value) for value in axes), tilt, 0, 360, skin, -1, cv2.LINE_AA)
    cv2.ellipse(
        picture, at, tuple(int(v) for v in axes * rng.uniform(0.82, 0.97)), tilt, 0, 360, inside, -1, cv2.LINE_AA
    )
    body = (picture > 0).astype(np.float32)
    for _ in range(int(rng.integers(2, 16))):
        place = tuple(int(value) for value in SIDE / 2 + rng.normal(0, 0.22, 2) * axes * 1.6)
        sizes = tuple(int(value) for value in rng.uniform(0.03, 0.4, 2) * axes + 1)
        cv2.ellipse(
            picture, place, sizes, float(rng.uniform(0, 180)), 0, 360, float(rng.uniform(0, 255)), -1, cv2.LINE_AA
        )
    texture = _clouds(rng).astype(np.float32) - 128
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 2.5)) + texture * rng.uniform(0, 0.4)
    return scaled(picture * body)


def _fan(rng: Generator) -> Bytes:
    """Draw an ultrasound sector: speckle in a fan on black."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    apex = (SIDE // 2 + int(rng.integers(-20, 20)), int(rng.integers(0, 30)))
    half = float(rng.uniform(25, 55))
    cv2.ellipse(mask, apex, (int(SIDE * rng.uniform(0.6, 1.0)),) * 2, 90, -half, half, 1, -1)
    speckle = rng.rayleigh(1.0, (SIDE, SIDE)) * np.maximum(_clouds(rng).astype(np.float32) - rng.uniform(0, 120), 0)
    return scaled(cv2.GaussianBlur(speckle, (0, 0), rng.uniform(0.5, 2)) * mask)


def _spine(rng: Generator) -> Bytes:
    """Draw a column of vertebrae in even flesh: neck, abdomen or pelvis without lungs beside it."""
    picture = np.full((SIDE, SIDE), rng.uniform(60, 120), np.float32) + (_clouds(rng).astype(np.float32) - 128) * 0.3
    x, wide = SIDE * rng.uniform(0.3, 0.7), rng.uniform(12, 45)
    high = wide * rng.uniform(0.5, 1.0)
    for y in np.arange(-10, SIDE, high * 1.25):
        shift = rng.normal(0, 2)
        corners = (int(x - wide / 2 + shift), int(y)), (int(x + wide / 2 + shift), int(y + high))
        cv2.rectangle(picture, *corners, float(rng.uniform(150, 220)), -1)
    if chance(rng, 0.4):
        for side in (-1, 1):
            at = (int(x + side * 0.3 * SIDE), int(SIDE * rng.uniform(0.5, 0.8)))
            cv2.ellipse(
                picture, at, (int(0.2 * SIDE), int(0.25 * SIDE)), side * 30.0, 0, 360, 200.0, int(rng.integers(4, 20))
            )
    return scaled(cv2.GaussianBlur(picture, (0, 0), rng.uniform(1, 3)))
