"""Films and records into the archive: resumable, idempotent, pseudonymised at the door."""

from __future__ import annotations
