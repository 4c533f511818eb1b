"""The durable store: tables, migrations, content-addressed files, audit log."""

from __future__ import annotations
