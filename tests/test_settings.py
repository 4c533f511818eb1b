"""Settings from one TOML file."""

from __future__ import annotations

from pathlib import Path

import pytest

from carina.errors import SettingsError
from carina.settings import Settings, load_settings


def test_without_a_file_the_defaults_hold() -> None:
    assert load_settings() == Settings()


def test_a_file_overrides_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "carina.toml"
    path.write_text("[limits]\nfile_bytes = 2048\n")
    settings = load_settings(path)
    assert settings.limits.file_bytes == 2048
    assert settings.limits.samples == Settings().limits.samples


def test_environment_does_not_configure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMITS", '{"file_bytes": 2048}')
    monkeypatch.setenv("CARINA_LIMITS__FILE_BYTES", "2048")
    assert load_settings().limits.file_bytes != 2048


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[limits]\nfile_bytes = 1\n", "setting 'limits.file_bytes'"),
        ("[limits]\nsise = 1\n", "setting 'limits.sise'"),
        ("[limit]\n", "setting 'limit'"),
        ("limits = [", "must be readable TOML"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "carina.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_settings(path)


def test_every_setting_says_what_it_is() -> None:
    for section in (field.default_factory for field in Settings.model_fields.values()):
        assert section is not None
        assert all(field.description for field in section.model_fields.values())  # type: ignore[attr-defined] # sections are models
