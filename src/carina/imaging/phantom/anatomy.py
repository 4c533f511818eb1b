"""Who is on the film: one patient's build, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carina.imaging.phantom.canvas import Canvas

__all__ = ["Anatomy", "draw_anatomy"]

_CHILD_SHARE = 0.35
_ADULT_AGES = (18.0, 90.0)
_CHILD_AGES = (1.0, 9.0)


@dataclass(frozen=True, slots=True)
class Anatomy:
    """One patient's build. Lengths are factors on a standard adult unless a unit is named.

    Attributes
    ----------
    child : bool
        Child's proportions: rounder cage, flatter ribs, larger heart, thinner body.
    age_years : int
        Completed years.
    sex : {"F", "M"}
        Sex.
    habitus : float
        -1 thin to 1 stout.
    width, height : float
        Of the chest.
    heart : float
        Of the heart's width.
    dome_cm : tuple of float
        Height of the right and the left diaphragm, cm below the carina.
    rib_drop : float
        How steeply the ribs descend.
    rotation_cm : float
        Shift of the structures in front against the spine by a turned patient, cm.
    scapula_cm : float
        How far the shoulder blades are turned out of the lung fields, cm.
    breast : float
        0 none to 1 large.
    arms_up : bool
        Arms raised, as for small children.
    stomach : float
        Size of the stomach bubble, 0 none.
    tilt : float
        Rotation in the film plane, radians.
    view_cm : float
        Side of the square film, cm at the scale of a standard adult.
    shift_cm : tuple of float
        Carina from the upper edge's middle, cm.
    scale : float
        Real centimetres a standard adult centimetre.
    view : {"PA", "AP"}
        Direction of the beam.
    """

    child: bool
    age_years: int
    sex: str
    habitus: float
    width: float
    height: float
    heart: float
    dome_cm: tuple[float, float]
    rib_drop: float
    rotation_cm: float
    scapula_cm: float
    breast: float
    arms_up: bool
    stomach: float
    tilt: float
    view_cm: float
    shift_cm: tuple[float, float]
    scale: float
    view: str

    @property
    def depth(self) -> float:
        """Front-to-back factor on a standard adult's body."""
        return (1.0 + 0.16 * self.habitus) * (0.94 if self.child else 1.0)

    def canvas(self, size: int) -> Canvas:
        """Lay the film over this patient."""
        return Canvas.place(
            size, view_cm=self.view_cm, stretch=(self.width, self.height), tilt=self.tilt, shift_cm=self.shift_cm
        )


def draw_anatomy(rng: np.random.Generator, *, child: bool | None, sex: str | None, age: int | None) -> Anatomy:
    """Draw a patient; what is given is kept, and the rest does not change with it."""
    u = rng.random(20)
    is_child = bool(u[0] < _CHILD_SHARE) if child is None else child
    if child is None and age is not None:
        is_child = age < 15  # noqa: PLR2004 - about where proportions become an adult's
    low, high = _CHILD_AGES if is_child else _ADULT_AGES
    years = int(low + u[1] * (high - low)) if age is None else age
    who = ("F" if u[2] < 0.5 else "M") if sex is None else sex  # noqa: PLR2004 - even odds
    view = "AP" if is_child or u[3] < 0.3 else "PA"  # noqa: PLR2004 - share of bedside films
    habitus = float(np.clip((u[4] + u[5] + u[6]) / 1.2 - 1.25, -1, 1)) * (0.5 if is_child else 1.0)
    deep = 12.2 + 2.4 * (u[7] - 0.5) - (1.6 if is_child else 0.0) - (1.0 if view == "AP" else 0.0) - 0.6 * habitus
    return Anatomy(
        child=is_child,
        age_years=years,
        sex=who,
        habitus=habitus,
        width=float(0.88 + 0.18 * u[8]) * (0.93 if is_child else 1.0),
        height=float(0.90 + 0.18 * u[9]) * (0.96 if is_child else 1.0),
        heart=float((1.12 if is_child else 0.9) + 0.24 * u[10] + (0.08 if view == "AP" else 0.0)),
        dome_cm=(deep, deep + 0.5 + 1.0 * u[11]),
        rib_drop=float(0.85 + 0.3 * u[12]) * (0.72 if is_child else 1.0),
        rotation_cm=float(1.2 * (u[13] - 0.5)),
        scapula_cm=float(2.2 * u[14]) if view == "PA" else float(-0.6 + 1.2 * u[14]),
        breast=0.0 if is_child or who == "M" else float(0.35 + 0.65 * u[15]),
        arms_up=bool(is_child and u[16] < 0.5),  # noqa: PLR2004 - even odds
        stomach=float(max(0.0, 1.4 * u[17] - 0.25)),
        tilt=float(np.radians(5.0 * (u[18] - 0.5))),
        view_cm=float(34.0 + 6.0 * u[19]) if not is_child else float(32.0 + 4.5 * u[19]),
        shift_cm=(float(1.2 * (u[13] + u[4] - 1.0)), float(14.0 + 2.0 * u[6])),
        scale=1.0 if not is_child else float(0.42 + 0.032 * years),
        view=view,
    )
