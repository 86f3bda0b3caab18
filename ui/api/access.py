"""Who is calling, and for whom they may act: keys bound to users, or one trusted operator on this machine."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from llmrec.settings import ALL, Access, Settings
from llmrec.ui.api.errors import ApiError


@dataclass(frozen=True)
class Principal(Access):
    """The bearer of a key, and what is refused to them."""

    def user(self, asked: str | None) -> str | None:
        """The user to act for: the one asked for; else the only one the key is bound to; else nobody (anonymous)."""
        if asked is None and len(self.users) == 1 and self.users[0] != ALL:
            return self.users[0]
        if not asked:
            return None
        if not self.may_act_for(asked):
            raise ApiError(403, "this API key may not act for that user: use the user's own key", param="user")
        return asked

    def person(self, asked: str | None) -> str:
        """The user to act for where it must be somebody."""
        user = self.user(asked)
        if user is None:
            raise ApiError(400, "name the user: 'user' is missing", param="user")
        return user

    def require_all(self) -> None:
        """Refuse keys that are bound to single users, where a change concerns everybody."""
        if ALL not in self.users:
            raise ApiError(403, "this API key acts for single users: changing the catalogue needs a key for all ('*')")


def identify(settings: Settings, headers: Headers) -> Principal:
    """The bearer of the key in `Authorization: Bearer KEY`; raises `ApiError` 401."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    access = settings.access(key.strip() if scheme.lower() == "bearer" else None)
    if access is None:
        message = "the API key is wrong" if key else "an API key is needed: send it as 'Authorization: Bearer KEY'"
        raise ApiError(401, message, code="invalid_api_key", headers={"www-authenticate": "Bearer"})
    return Principal(access.fingerprint, access.users)


def check_local(scope: Scope) -> None:
    """Without keys only this machine is answered, and only under its own name: a page elsewhere whose name has been
    pointed at 127.0.0.1 (DNS rebinding), or that posts here from the browser, is refused. Raises `ApiError` 403."""
    client = scope.get("client")
    if client is not None and not is_loopback(client[0]):
        raise ApiError(403, "without API keys only this machine is served: set LLMREC_KEYS")
    headers = Headers(scope=scope)
    names = [headers.get("host", "")]
    if "origin" in headers:
        names.append(headers["origin"].partition("://")[2])
    for name in names:
        if not is_loopback(_host(name)):
            raise ApiError(403, "without API keys only requests to localhost are answered: set LLMREC_KEYS")


def is_loopback(host: str) -> bool:
    """Whether a host name or address stays on this machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _host(authority: str) -> str:
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]
