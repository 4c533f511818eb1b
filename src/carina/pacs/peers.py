"""The peers of a node: whose films each sends, what it gets, and how it is called."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from typing import Any, Final

from pydicom import config
from pynetdicom import AE, _config

from carina.archive import Study
from carina.errors import SettingsError
from carina.settings import PacsPeer, PacsSettings

__all__ = ["Peers", "server_context"]


class Peers:
    """Peers by AE title, each with its organisation.

    Parameters
    ----------
    study : Study
        Of kind ``service``.
    settings : PacsSettings

    Raises
    ------
    SettingsError
        If no peer is named, two have one title, or an organisation is not there.
    """

    def __init__(self, study: Study, settings: PacsSettings) -> None:
        if not settings.peers:
            raise SettingsError("a node must know its peers; name at least one as [[pacs.peers]] in the settings file")
        self._settings = settings
        self._by_title = {peer.ae_title: peer for peer in settings.peers}
        if len(self._by_title) < len(settings.peers):
            raise SettingsError("each peer must have an AE title of its own; two of [[pacs.peers]] have the same")
        known = {each.name: each.organisation_id for each in study.accounts.organisations()}
        self._homes = {
            peer.ae_title: _home(peer.organisation or settings.organisation, known) for peer in settings.peers
        }
        self._context = client_context(settings) if any(peer.tls for peer in settings.peers) else None

    def get(self, title: str) -> PacsPeer | None:
        """Find a peer; None where it is not known."""
        return self._by_title.get(title)

    def organisation(self, title: str) -> int:
        """Tell whose films a known peer sends."""
        return self._homes[title]

    def results(self, organisation_id: int) -> list[str]:
        """AE titles of those that get results of an organisation's films."""
        return [one.ae_title for one in self._settings.peers if one.results and self._is_of(one, organisation_id)]

    def priors(self, organisation_id: int) -> list[str]:
        """AE titles of those that are asked for earlier films of an organisation's patients."""
        return [one.ae_title for one in self._settings.peers if one.priors and self._is_of(one, organisation_id)]

    def associate(
        self,
        peer: PacsPeer,
        contexts: Sequence[Any],
        *,
        negotiation: Sequence[Any] = (),
        handlers: Sequence[Any] = (),
    ) -> Any:
        """Ask a peer for an association; the caller looks whether it is established, and releases it."""
        quiet_pynetdicom()
        entity = AE(ae_title=self._settings.ae_title)
        entity.acse_timeout = entity.connection_timeout = self._settings.acse_seconds
        entity.dimse_timeout = entity.network_timeout = self._settings.idle_seconds
        more: dict[str, Any] = {}
        if peer.tls:
            more["tls_args"] = (self._context, peer.host)
        return entity.associate(
            peer.host,
            peer.port,
            contexts=list(contexts),
            ae_title=peer.ae_title,
            max_pdu=self._settings.pdu_bytes,
            ext_neg=list(negotiation),
            evt_handlers=list(handlers),
            **more,
        )

    def _is_of(self, peer: PacsPeer, organisation_id: int) -> bool:
        return self._homes[peer.ae_title] == organisation_id


def server_context(settings: PacsSettings) -> ssl.SSLContext | None:
    """TLS as the node offers it: 1.2 or later, and peers show a certificate where authorities are named.

    Raises
    ------
    SettingsError
        If a certificate lacks its key, or a file cannot be read.

    References
    ----------
    DICOM PS3.15 annex B.9, B.10 (BCP 195 profiles).
    """
    if settings.certificate is None:
        if settings.key is not None:
            raise SettingsError("a key must have its certificate; name it as `certificate` under [pacs]")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, settings)
    if settings.authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: PacsSettings) -> ssl.SSLContext:
    """TLS as the node asks for it: the peer's certificate must be of its host and of a known authority.

    Raises
    ------
    SettingsError
        As in `server_context`.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, settings)
    return context


def quiet_pynetdicom() -> None:
    """Keep pynetdicom's own logs and pydicom's warnings of values away: they would hold patients' names."""
    config.settings.reading_validation_mode = config.IGNORE  # it only warns; what counts is checked where it counts
    _config.LOG_HANDLER_LEVEL = "none"
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


_PEM: Final = "TLS must have PEM files that can be read; one of certificate, key and authorities cannot"


def _load(context: ssl.SSLContext, settings: PacsSettings) -> None:
    try:
        if settings.certificate is not None:
            context.load_cert_chain(settings.certificate, settings.key)
        if settings.authorities is not None:
            context.load_verify_locations(settings.authorities)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise SettingsError(f"{_PEM}: {getattr(error, 'reason', None) or error.strerror or 'no PEM'}") from error  # type: ignore[union-attr]  # OSError has it


def _home(name: str | None, known: dict[str, int]) -> int:
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None:
        raise SettingsError(
            f"a node must know whose worklist films come to, and the study has {len(known)} organisations; name one as "
            "`organisation` under [pacs]"
        )
    if name not in known:
        raise SettingsError(
            f"an organisation under [pacs] must be one of the study's, and {name!r} is none; `carina user add` makes it"
        )
    return known[name]
