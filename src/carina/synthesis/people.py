"""Patients of the synthetic hospital: nobody, and plainly so.

Shares of the ethnic groups are roughly those of the people living in Counties Manukau at the 2018 census (Stats NZ,
usually resident population by district health board, prioritised; Maori 16 %, Pacific 21 %, Asian 28 %, others the
rest), rounded by hand: approximate, for the look of the tables, and no source for any figure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from carina.synthesis.nhi import issue_numbers

__all__ = ["GROUPS", "Person", "draw_person", "numbers"]

# HISO 10001 level 2 codes of a group, and the group's share in percent. The first code is the usual one.
GROUPS: dict[str, tuple[float, tuple[str, ...]]] = {
    "Maori": (16.0, ("21",)),
    "Pacific": (21.0, ("31", "32", "33", "34", "35", "37")),
    "Asian": (28.0, ("43", "42", "41", "44")),
    "MELAA": (1.5, ("51", "52", "53")),
    "Other": (1.0, ("61",)),
    "European": (31.5, ("11", "12")),
    "Unknown": (1.0, ("99", "94", "95")),
}
_ORDER = ("Maori", "Pacific", "Asian", "MELAA", "Other", "European")
_SEVERAL = 0.15  # share of people who give several answers
_NEW_SHAPE = 0.35

_PLANTS = (
    "KAURI",
    "RIMU",
    "TOTARA",
    "MATAI",
    "MIRO",
    "KAHIKATEA",
    "RATA",
    "TAWA",
    "KOWHAI",
    "MANUKA",
    "KANUKA",
    "HARAKEKE",
    "TOETOE",
    "RAUPO",
    "KARAKA",
    "PURIRI",
    "NGAIO",
    "HINAU",
    "MAIRE",
    "TARAIRE",
    "KOHEKOHE",
    "TITOKI",
    "MAHOE",
    "WHAU",
    "KARAMU",
    "RAUREKAU",
    "PUKATEA",
    "TUTU",
    "NIKAU",
    "MAMAKU",
    "PONGA",
)
_BIRDS = (
    "TUI",
    "KEA",
    "KAKA",
    "KERERU",
    "RURU",
    "WEKA",
    "KIWI",
    "TAKAHE",
    "KOKAKO",
    "TIEKE",
    "HIHI",
    "KOTARE",
    "PUKEKO",
    "MATUKU",
    "KUAKA",
    "TORO",
    "TARAPUNGA",
    "KARORO",
    "KOTUKU",
    "WHIO",
    "PATEKE",
    "PIWAKAWAKA",
    "RIRORIRO",
    "TOUTOUWAI",
    "POPOKOTEA",
    "MOHUA",
    "TITIPOUNAMU",
    "KOEKOEA",
    "PIPIWHARAUROA",
)
_MACRONS = {"TOTARA": "TŌTARA", "MANUKA": "MĀNUKA", "KAKA": "KĀKĀ", "PUKEKO": "PŪKEKO", "HINAU": "HĪNAU"}
_ROADS = ("Nowhere Road", "Fictive Street", "Imaginary Lane", "Synthetic Avenue", "Invented Place", "Phantom Crescent")


@dataclass(frozen=True, slots=True)
class Person:
    """One patient.

    Attributes
    ----------
    number : int
        Seed of the anatomy.
    nhi : str
        Test NHI.
    surname, given, address, phone : str
        Made up, and looking so: surnames begin with ``ZZ``, given names with ``SYN``.
    sex : {"F", "M", "X", "U"}
        Sex.
    birth : datetime.date
        Birth date.
    ethnicities : tuple of str
        Answers as HISO 10001 level 2 codes.
    ethnicity : str
        The group they become (M17).
    height_cm, weight_kg : float
        At admission.
    """

    number: int
    nhi: str
    surname: str
    given: str
    address: str
    phone: str
    sex: str
    birth: dt.date
    ethnicities: tuple[str, ...]
    ethnicity: str
    height_cm: float
    weight_kg: float

    @property
    def bmi(self) -> float:
        """Body mass index, kg/m2, one decimal as the ward computes it."""
        return round(self.weight_kg / (self.height_cm / 100) ** 2, 1)

    def age(self, day: dt.date) -> int:
        """Completed years on a day."""
        return day.year - self.birth.year - ((day.month, day.day) < (self.birth.month, self.birth.day))


def numbers(rng: np.random.Generator) -> Iterator[str]:
    """Give test NHIs of both shapes, each once."""
    shapes = (issue_numbers(), issue_numbers(new=True))
    while True:
        yield next(shapes[int(rng.random() < _NEW_SHAPE)])


def draw_person(number: int, nhi: str, born: dt.date, rng: np.random.Generator) -> Person:
    """Draw a patient.

    Parameters
    ----------
    number : int
        Seed of the anatomy, 0 or more.
    nhi : str
        Test NHI.
    born : datetime.date
        Birth date.
    rng : numpy.random.Generator
        Luck.

    Returns
    -------
    Person
    """
    age = 2020 - born.year
    codes, group = _ethnicity(rng)
    height, weight = _build(age, rng)
    surname = _PLANTS[int(rng.integers(len(_PLANTS)))]
    second = _PLANTS[int(rng.integers(len(_PLANTS)))]
    given = _BIRDS[int(rng.integers(len(_BIRDS)))]
    if rng.random() < 0.2:  # noqa: PLR2004 - share of names written with macrons
        surname, given = _MACRONS.get(surname, surname), _MACRONS.get(given, given)
    family = f"ZZ{surname}" + (f"-{second}" if rng.random() < 0.15 else "")  # noqa: PLR2004 - share of double names
    road = _ROADS[int(rng.integers(len(_ROADS)))]
    return Person(
        number=number,
        nhi=nhi,
        surname=family,
        given=f"SYN{given}",
        address=f"{1000 + int(rng.integers(9000))} {road}, Nowhereville",
        phone=f"09 555 {int(rng.integers(10_000)):04d}",
        sex=str(rng.choice(["F", "M", "X", "U"], p=[0.5, 0.49, 0.006, 0.004])),
        birth=born,
        ethnicities=codes,
        ethnicity=group,
        height_cm=height,
        weight_kg=weight,
    )


def _ethnicity(rng: np.random.Generator) -> tuple[tuple[str, ...], str]:
    """Answers and the group that the order of M17 makes of them; the group is drawn first, so that it is known."""
    shares = np.asarray([share for share, _ in GROUPS.values()])
    group = str(rng.choice(list(GROUPS), p=shares / shares.sum()))
    codes = GROUPS[group][1]
    first = codes[min(int(rng.geometric(0.5)) - 1, len(codes) - 1)]
    if group not in _ORDER[:-1] or rng.random() >= _SEVERAL:
        return (first,), group
    lower = _ORDER[_ORDER.index(group) + 1 :]
    others = {GROUPS[str(rng.choice(lower))][1][0] for _ in range(int(rng.integers(1, 3)))}
    answers = [*sorted(others), first]  # the one that counts comes last, as often on paper
    return tuple(answers), group


def _build(age: int, rng: np.random.Generator) -> tuple[float, float]:
    """Height in cm and weight in kg, one decimal."""
    if age < 1:
        return round(float(rng.uniform(47, 53)), 1), round(float(rng.uniform(2.7, 4.2)), 1)
    if age < 16:  # noqa: PLR2004 - years
        height = 75 + 6.2 * age + float(rng.uniform(-4, 4))
        return round(height, 1), round((height / 100) ** 2 * float(rng.uniform(14.5, 21)), 1)
    height = float(rng.uniform(152, 188))
    return round(height, 1), round((height / 100) ** 2 * float(rng.uniform(18, 38)), 1)
