"""What the pages have in common: styles and scripts inside, a policy that allows nothing else, files written whole."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from carina.errors import OutputError

__all__ = ["data_uri", "page_parts", "page_templates", "write_whole"]

_POLICY = ("default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'")


def page_templates(**words: object) -> jinja2.Environment:
    """Open the templates of the pages; every value put into one is escaped.

    Parameters
    ----------
    **words
        Names that templates may use.

    Returns
    -------
    jinja2.Environment
    """
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_template),
    )
    environment.globals.update(words)
    return environment


def page_parts(styles: tuple[str, ...], script: str | None = None, now: datetime | None = None) -> dict[str, object]:
    """Gather what the head of every page needs.

    Parameters
    ----------
    styles : tuple of str
        Style sheets of the package, in order.
    script : str or None
        Script of the package.
    now : datetime or None
        Date printed; the present when left out.

    Returns
    -------
    dict
        `style`, `script`, `policy` (a content security policy that allows these two by their hash and no host) and
        `date`.
    """
    style = "".join(_template(name) for name in styles)
    code = "" if script is None else _template(script)
    now = now or datetime.now(UTC)
    allowed = f"script-src {_hash(code)}" if code else "script-src 'none'"
    return {
        "style": Markup(style),  # noqa: S704 - the package's own file
        "script": Markup(code),  # noqa: S704 - the package's own file
        "policy": "; ".join((*_POLICY, f"style-src {_hash(style)}", allowed)),
        "date": f"{now:%d %B %Y, %H:%M} {now.tzname() or ''}".strip(),
    }


def data_uri(content: bytes, kind: str) -> str:
    """Picture as an address that needs no file.

    Examples
    --------
    >>> data_uri(b"x", "png")
    'data:image/png;base64,eA=='
    """
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def write_whole(path: Path, content: bytes, what: str = "a report", *, make_folder: bool = True) -> None:
    """Write a file whole or not at all.

    Parameters
    ----------
    path : Path
    content : bytes
    what : str
        Named in the error.
    make_folder : bool
        Whether the folder is made where it is missing.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise OutputError(
            f"{what} must go where files can be written; {str(path)!r}: {error.strerror or type(error).__name__}"
        ) from error


def _template(name: str) -> str:
    return (files("carina.report") / "templates" / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    """CSP source of an inline block (W3C Content Security Policy Level 3, 6.7.3)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
