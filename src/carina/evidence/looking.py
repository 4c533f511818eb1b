"""From a table's row to a film with lungs, boxes and class map; whatever stands in the way is counted by sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from carina.errors import FilmRejectedError, InputError, TableError
from carina.evidence.boxes import BoxTable
from carina.evidence.film_record import FilmRecord
from carina.evidence.localisation import is_flat
from carina.evidence.viewing import Network, class_shown, view_film
from carina.imaging import read_film
from carina.imaging.framing import Frame
from carina.imaging.lung_fields import LungFields, from_mask
from carina.inference import Outputs
from carina.inference.boxes import BoxRules, select_boxes
from carina.sampling import FilmTable
from carina.types import Film

__all__ = ["Finder", "Looker", "check_boxes"]


_WEAKEST = 0.01


class Finder(Protocol):
    """Finds lungs, such as `carina.inference.lungs.LungFinder`."""

    def find(self, film: Film) -> LungFields:
        """Find the lung fields of a film."""
        ...


@dataclass(slots=True)
class Looker:
    """Looks at films of one table with one network.

    Attributes
    ----------
    table : FilmTable
    network : Network
    finder : Finder or None
        `None` leaves films without a `lung_mask` without lungs.
    boxes : BoxTable or None
    refused : dict of str to str
        Films that could not be looked at, by image_id, with the reason.
    unusable_masks : dict of str to str
        Given lung masks that could not be used, by image_id, with the reason.
    """

    table: FilmTable
    network: Network
    finder: Finder | None
    boxes: BoxTable | None
    refused: dict[str, str] = field(default_factory=dict)
    unusable_masks: dict[str, str] = field(default_factory=dict)

    def look(self, row: int) -> FilmRecord | None:
        """Read a film and ask the network.

        Parameters
        ----------
        row : int
            Of the table, from 0.

        Returns
        -------
        FilmRecord or None
            `None` where the film is refused.

        Raises
        ------
        TableError
            If a box leaves its film.
        """
        table = self.table
        name, bundle = table.image_ids[row], self.network.bundle
        try:
            film = read_film(table.paths[row])
        except FilmRejectedError as error:
            self.refused[name] = f"{error.message} [{error.code}]"
            return None
        boxes = None
        if self.boxes is not None and name in self.boxes.image_ids:
            boxes = self.boxes.of(name, (film.pixels.shape[0], film.pixels.shape[1]))
        found = self.finder.find(film) if self.finder is not None else None
        given = self._given_mask(row, name, film)
        fields, origin = (given, "mask") if given is not None else (found, "found" if found is not None else "none")
        view = view_film(film, bundle, found if found is not None else given, fields)
        answer = self.network(view.picture[None])
        if not (np.isfinite(answer.probabilities).all() and np.isfinite(answer.maps).all()):
            self.refused[name] = "the network must give finite values; for this film it gave NaN [not_finite]"
            return None
        label = table.labels[row]
        number = class_shown(bundle, label, answer.probabilities[0])
        raw, outputs = answer.maps[0, number], answer.outputs[0]
        return FilmRecord(
            row=row,
            image_id=name,
            source=table.sources[row],
            label=label,
            patient=table.patients[row],
            shown=bundle.task.classes[number],
            probability=float(answer.probabilities[0, number]),
            agreed=number == int(answer.probabilities[0].argmax()),
            view=view,
            raw=raw,
            lungs_from=origin,
            flags=fields.flags if fields is not None else (),
            flat=is_flat(raw),
            boxes=boxes,
            detected=None if boxes is None else _detected(outputs, view.frame),
            opacity=None if boxes is None or outputs.opacity is None else outputs.opacity[0],
        )

    def _given_mask(self, row: int, name: str, film: Film) -> LungFields | None:
        """Lungs of the table's `lung_mask`; one that cannot be used is told, never stretched to fit."""
        frame = self.table.frame
        stored = frame["lung_mask"][row] if "lung_mask" in frame.columns else None
        if stored is None:
            return None
        try:
            mask = read_film(self.table.folder / Path(str(stored))).pixels
            return from_mask(mask > 0.5, (film.pixels.shape[0], film.pixels.shape[1]))  # noqa: PLR2004 - half of white
        except FilmRejectedError as error:
            self.unusable_masks[name] = f"{error.message} [{error.code}]"
        except InputError as error:
            self.unusable_masks[name] = str(error)
        return None


def _detected(outputs: Outputs, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Boxes of the box branch down to the weakest, for a ranking needs them all; `None` without the branch."""
    if outputs.boxes is None or outputs.box_scores is None:
        return None
    found = select_boxes(outputs.boxes[0], outputs.box_scores[0], frame, BoxRules(score=_WEAKEST))
    boxes = np.array([(one.x, one.y, one.width, one.height) for one in found], dtype=np.float64)
    return boxes.reshape(-1, 4), np.array([one.score for one in found], dtype=np.float64)


def check_boxes(table: FilmTable, boxes: BoxTable) -> tuple[list[int], int]:
    """Rows of the films with boxes, and how many boxed films the table lacks.

    Raises
    ------
    TableError
        If no boxed film is in the table.
    """
    place = {name: row for row, name in enumerate(table.image_ids)}
    rows = [place[name] for name in boxes.image_ids if name in place]
    if not rows:
        raise TableError(
            "boxes must belong to films of the table, by image_id; none of the "
            f"{len(boxes.image_ids)} films with boxes is in it"
        )
    return sorted(rows), len(boxes.image_ids) - len(rows)
