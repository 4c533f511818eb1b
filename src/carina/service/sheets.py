"""A film's texture sheet, made by a worker: the film's texture held against that of other films (M27)."""

from __future__ import annotations

import logging
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from carina.archive import DeskFilm, Study
from carina.errors import CarinaError, MissingExtraError, TextureError
from carina.settings import Settings

if TYPE_CHECKING:
    from carina.evidence.signature_table import SignatureTable

__all__ = ["SheetMaker"]

_LOG: Final = logging.getLogger("carina.service")
_LEASE: Final = 600.0
_MOST_REFERENCE: Final = 2_000
_NAME: Final = "this film"


class SheetMaker:
    """Makes the texture sheets of one service study.

    Parameters
    ----------
    study : Study
    settings : Settings
        `texture_reference` under ``[service]`` names the features of the films that one film is held against.
    """

    def __init__(self, study: Study, settings: Settings) -> None:
        self._study = study
        self._settings = settings

    def make(self, organisation_id: int, entry_id: str) -> None:
        """Make one sheet; does nothing where it is made, or in another worker's hands.

        Parameters
        ----------
        organisation_id : int
        entry_id : str
        """
        sheets = self._study.sheets
        sheet = sheets.claim(entry_id, organisation_id=organisation_id, lease=_LEASE)
        film = self._study.desk.film(entry_id, organisation_id=organisation_id, referrer_id=None)
        if sheet is None or film is None:
            return
        if sheet.attempts > self._settings.service.attempts:
            sheets.fail(film, "making it ended the worker each time; look at the film by hand")
            return
        try:
            page = self._page(film)
        except (CarinaError, OSError) as error:
            sheets.fail(film, str(error))
            return
        stored = self._study.store.put(page, folder="sheets", suffix=".html")
        sheets.finish(film, stored.path)
        _LOG.info("texture sheet of %s made", entry_id)

    def _page(self, film: DeskFilm) -> bytes:
        reference = self._settings.service.texture_reference
        if reference is None:
            raise TextureError(
                "a texture sheet needs films to hold this one against: name the features that `carina texture` wrote "
                "of them under texture_reference in [service]"
            )
        if find_spec("numba") is None:
            raise MissingExtraError("worker", "texture")
        from carina.evidence.signature_table import read_feature_table, texture_settings_of  # noqa: PLC0415 - the extra
        from carina.inference.lungs import LungFinder  # noqa: PLC0415 - as above
        from carina.report.atlas_films import FilmShelf  # noqa: PLC0415 - as above
        from carina.report.atlas_page import write_sheet  # noqa: PLC0415 - as above

        table = read_feature_table(reference)
        settings = texture_settings_of(reference)
        # identified, so in the study's folder, which nobody else may enter; gone with the block
        with tempfile.TemporaryDirectory(dir=self._study.folder, prefix=".sheet-") as name:
            place = Path(name)
            path = place / f"film{Path(film.path).suffix}"
            path.write_bytes(self._study.store.read(film.path))
            whole = _beside(table, path, settings)
            shelf = FilmShelf({_NAME: path}, settings, LungFinder.load())
            return write_sheet(whole, shelf, _NAME, place).read_bytes()


def _beside(table: SignatureTable, path: Path, settings: object) -> SignatureTable:
    """Put a film's own features under those of the reference films, of which the first few thousand take part."""
    import numpy as np  # noqa: PLC0415 - the extra
    import polars as pl  # noqa: PLC0415 - as above

    from carina.evidence.signature_table import SignatureTable  # noqa: PLC0415 - as above
    from carina.evidence.texture_films import FilmJob, FilmMeasurer, MeasureOptions  # noqa: PLC0415 - as above
    from carina.texture import REGIONS, TextureSettings  # noqa: PLC0415 - as above

    assert isinstance(settings, TextureSettings)  # noqa: S101 - as `texture_settings_of` gives it
    there = {name.partition(".")[0] for name in table.names}
    options = MeasureOptions(settings=settings, regions=tuple(name for name in REGIONS if name in there))
    measured = FilmMeasurer(options)(FilmJob(_NAME, str(path)))
    if measured.status in ("refused", "failed"):
        raise TextureError(f"the film's texture must be measurable, and is not: {measured.error}")
    own = dict(zip(options.columns, measured.values.tolist(), strict=True))
    kept = table.take(range(min(len(table), _MOST_REFERENCE)))
    row = {"image_id": _NAME, "patient_id": _NAME, "label": "unlabelled", "source": ""}
    films = pl.concat([kept.films, pl.DataFrame([row])], how="diagonal_relaxed")
    values = np.vstack([kept.values, [own.get(name, np.nan) for name in table.names]])
    return SignatureTable(films, table.names, values, table.sha256)
