"""Labels from another column of a film table: which column, which rows, and what its values mean (M37)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["LabelColumn", "LabelRule"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelRule(_Model):
    """What some values of the column mean.

    Attributes
    ----------
    label : str
        Class or label set of the task.
    any : tuple of str
        The rule fits a cell that lists one of these.
    without : tuple of str
        And none of these.
    """

    label: str
    any: tuple[str, ...] = Field(min_length=1)
    without: tuple[str, ...] = ()


class LabelColumn(_Model):
    """Where the label of a film stands.

    Attributes
    ----------
    column : str
        Column of the film table.
    separator : str or None
        What stands between several values in one cell; `None` where a cell is one value.
    where : dict of str to tuple of str
        Only rows whose column has one of these values are of the task.
    rules : tuple of LabelRule
        In order; the first that fits a cell labels its film.
    otherwise : str or None
        Label of a cell that is not blank and that no rule fits; `None` leaves the cell as it stands, so that a value
        named as a class is that class and any other is left out and counted.

    Examples
    --------
    >>> column = LabelColumn(column="findings", separator="|", otherwise="other",
    ...                      rules=(LabelRule(label="effusion", any=("Effusion",)),))
    >>> column.label("Edema | Effusion"), column.label("Edema"), column.label(" ")
    ('effusion', 'other', None)
    """

    column: str = Field(min_length=1)
    separator: str | None = Field(None, min_length=1)
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    rules: tuple[LabelRule, ...] = ()
    otherwise: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> LabelColumn:
        if empty := [name for name, values in self.where.items() if not values]:
            raise ValueError(f"`where` must name a value for each column; {empty[0]!r} has none")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that it gives."""
        return (*(rule.label for rule in self.rules), *((self.otherwise,) if self.otherwise else ()))

    def label(self, cell: str | None) -> str | None:
        """Label of a cell; `None` for a blank one."""
        text = (cell or "").strip()
        if not text:
            return None
        parts = text.split(self.separator) if self.separator else [text]
        values = {part.strip() for part in parts}
        for rule in self.rules:
            if values & set(rule.any) and not values & set(rule.without):
                return rule.label
        return self.otherwise if self.otherwise is not None else text
