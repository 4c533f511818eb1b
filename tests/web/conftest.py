"""A service study with users who are signed in, and films read by a model that was never run."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the web needs the extra 'web'")
pytest.importorskip("httpx2", reason="the web's tests need httpx2")

from fastapi import FastAPI
from fastapi.testclient import TestClient

from carina.archive import ROLES, DeskFilm, DeskResult, Study, create_study
from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.service import receive_film
from carina.settings import Settings
from carina.web import create_app, hash_password

SECRET = base64.b32encode(b"12345678901234567890").decode()
HASH = hash_password("eleven geese and a goose")
MODEL = {
    "name": "tiny",
    "version": "1",
    "sha256": "f" * 64,
    "points": [],
    "classes": ("normal", "viral"),
    "label_sets": ("pneumonia",),
}


@dataclass(frozen=True)
class Desk:
    """A study, its application, and ways in."""

    study: Study
    app: FastAPI
    settings: Settings

    def client(self, name: str) -> tuple[TestClient, str]:
        """Signed-in client of a user, and its form token: `client("radiologist")`."""
        user = self.study.accounts.user(f"zzz.{name}")
        assert user is not None
        token = self.study.accounts.begin_session(user, "full")
        session = self.study.accounts.session(token, idle=1e9, absolute=1e9)
        assert session is not None
        client = TestClient(self.app, cookies={"carina": token}, follow_redirects=False, raise_server_exceptions=False)
        return client, session.form_token

    def film(
        self, seed: int, *, patient: str = "ZZZ0016", decision: str | None = None, urgency: float = 0.5, **reading: Any
    ) -> DeskFilm:
        """A phantom at the desk, read where a decision is named."""
        made = phantom_dicom(phantom_film(seed, size=128), patient=patient)
        made.PatientName = "TEST^Reading"
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"{made.SOPInstanceUID}.{seed}"
        made.AcquisitionDate = made.StudyDate = made.ContentDate = f"202601{seed:02d}"
        content = io.BytesIO()
        made.save_as(content)
        owner = self.study.accounts.user("zzz.referrer")
        assert owner is not None
        got, _ = receive_film(
            self.study,
            content.getvalue(),
            organisation_id=1,
            source="upload",
            settings=self.settings,
            referrer_id=owner.user_id,
        )
        if decision is not None:
            layer = self.study.store.put(f"PNG of {decision}".encode(), folder="results", suffix=".png")
            said = {"decision": decision, "reason": f"because {decision}", "probabilities": {decision: urgency}}
            said |= {"model": {"name": "tiny", "version": "1", "sha256": "f" * 12}, **reading}
            result = DeskResult("f" * 64, said, {f"heat-{decision}": layer.path}, 0.1, time.time())
            assert self.study.desk.finish(got, result, urgency=urgency, longest_wait=3600)
            self.study.sheets.ask(got, user_id=owner.user_id)
            page = f"<style>p{{color:red}}</style><p>Texture of {decision}</p>".encode()
            self.study.sheets.finish(got, self.study.store.put(page, folder="sheets", suffix=".html").path)
        found = self.study.desk.film(got.entry_id, organisation_id=1, referrer_id=None)
        assert found is not None
        return found


@pytest.fixture
def make_desk(tmp_path: Path, tiny_bundle: Path) -> Iterator[Callable[..., Desk]]:
    """Factory of desks: `make_desk(blind_first=True, web={"upload_bytes": 4_000_000})`."""
    opened: list[Study] = []

    def make(*, blind_first: bool = False, **sections: dict[str, Any]) -> Desk:
        study = create_study(tmp_path / f"service{len(opened)}", "service", blind_first=blind_first)
        opened.append(study)
        home = study.accounts.add_organisation("ZZZ District").organisation_id
        for name, role in (*((role, role) for role in ROLES), ("radiologist.second", "radiologist")):
            user = study.accounts.add_user(f"zzz.{name}", organisation_id=home, role=role, password_hash=HASH)  # type: ignore[arg-type]  # one of the roles
            study.accounts.set_password(user, HASH, initial=False, by=user.user_id)
            study.accounts.set_second_factor(user, SECRET, 0)
        values = {"service": {"model": str(tiny_bundle)}, **sections}
        values["web"] = {"reserve_bytes": 0, **values.get("web", {})}
        settings = Settings.model_validate(values)
        return Desk(study, create_app(study, settings, secure=False, model=MODEL), settings)

    yield make
    for study in opened:
        study.close()
