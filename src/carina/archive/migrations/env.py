"""Alembic's entry: migrations run on the connection that `carina.archive.database` hands over."""

from __future__ import annotations

from alembic import context

from carina.archive.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
context.run_migrations()
