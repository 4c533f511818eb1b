"""Earlier films of a patient, to lie beside the one that is read."""

from __future__ import annotations

from typing import Final

from carina.archive import DeskFilm, Study

__all__ = ["prior_films"]

_MOST: Final = 20


def prior_films(
    study: Study, film: DeskFilm, *, organisation_id: int, referrer_id: int | None, most: int = _MOST
) -> tuple[DeskFilm, ...]:
    """Find films of the same patient that were taken before this one; the first is the one to compare with.

    A node fetches them from its PACS (`[[pacs.peers]]`, ``priors = true``), and what was uploaded or sent to be read
    counts as well. A film fetched twice, or sent again in other bytes, is one: the instance tells.

    Parameters
    ----------
    study : Study
    film : DeskFilm
    organisation_id : int
        Whose films may be seen.
    referrer_id : int or None
        Of these, the requests of one user alone.
    most : int

    Returns
    -------
    tuple of DeskFilm
        The last taken first; empty where the film names no patient or no time.
    """
    found = study.desk.earlier(film, organisation_id=organisation_id, referrer_id=referrer_id, most=2 * most)
    seen = {film.sop_instance_uid, film.film_id}
    kept = []
    for each in found:
        key = each.sop_instance_uid or each.film_id
        if key not in seen:
            kept.append(each)
        seen.add(key)
    return tuple(kept[:most])
