"""The web application for doctors: routes, permissions, sign-in, pages."""

from carina.web.app import create_app, guards
from carina.web.credentials import hash_password, initial_password
from carina.web.listening import refuse_unsafe, serve
from carina.web.permissions import GRANTED, Guard, Permission

__all__ = [
    "GRANTED",
    "Guard",
    "Permission",
    "create_app",
    "guards",
    "hash_password",
    "initial_password",
    "refuse_unsafe",
    "serve",
]
