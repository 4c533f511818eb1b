"""The model that reads: checked, kept in the store, followed, and missed where the store lost it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("huey", reason="the service needs the extra 'web'")
pytest.importorskip("sqlalchemy", reason="the service needs the extra 'web'")

from carina.archive import Study, create_study
from carina.errors import BundleError
from carina.service import check_health
from carina.service.models import check_model, reading_bundle, settings_model
from carina.settings import Settings

REASON = "Because it was looked at for long."


@pytest.fixture(params=["folder", "memory"])
def study(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Study]:
    """A service study whose store is a folder, or is elsewhere."""
    store = None if request.param == "folder" else f"memory://{tmp_path.name}"
    with create_study(tmp_path / "service", "service", store=store) as made:
        home = made.accounts.add_organisation("ZZZ District").organisation_id
        made.accounts.add_user("zzz.one", organisation_id=home, role="administrator", password_hash="x")  # noqa: S106 - of nobody
        yield made


@pytest.fixture
def settings(tiny_bundle: Path) -> Settings:
    return Settings.model_validate({"service": {"model": str(tiny_bundle)}})


def _activate(study: Study, settings: Settings, place: Path) -> None:
    new = check_model(study, settings, place, origin="a test", verdicts={})
    study.models.activate(study.models.propose(new, reason="better", by=1), by=1, reason=REASON)


def test_what_was_checked_reads_whatever_becomes_of_its_folder(
    study: Study, settings: Settings, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    assert reading_bundle(study, settings)[1].name == "tiny"
    place = make_bundle(tmp_path / "new", name="newer")
    _activate(study, settings, place)
    (place / "model.onnx").unlink()
    number, bundle = reading_bundle(study, settings)
    assert (number, bundle.name) == (1, "newer")
    study.models.roll_back(None, settings_model(settings), reason=REASON, by=1)
    assert reading_bundle(study, settings)[1].name == "tiny"


def test_a_store_that_lost_the_model_is_told_of_and_the_model_can_be_taken_back(
    study: Study, settings: Settings, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    _activate(study, settings, make_bundle(tmp_path / "new", name="newer"))
    active = study.models.active()
    assert active is not None
    study.store.delete(active.path or "")
    health = {each.name: each for each in check_health(study, settings)}
    assert not health["model"].well
    study.models.roll_back(None, settings_model(settings), reason=REASON, by=1)
    assert next(each for each in check_health(study, settings) if each.name == "model").well


def test_a_graph_that_breaks_on_a_film_is_refused(
    study: Study, settings: Settings, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    place = make_bundle(tmp_path / "new", weights=np.full((4, 4), np.nan, np.float32))
    with pytest.raises(BundleError, match="must read a phantom film"):
        check_model(study, settings, place, origin="a test", verdicts={})
