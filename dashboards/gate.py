"""The gate before every page: closed by default, same origin only, the user bound, the browser forbidden to ask outside.

Plain ASGI middleware, added after Dash so that it is the outermost layer: strangers' bodies are never parsed.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response

from dashboards.access import CURRENT, Visit
from dashboards.accounts import NOBODY, Accounts
from twin.clock import wall_now

OPEN_PATHS = ("/login", "/setup", "/healthz", "/session")
ENDED = 4401  # our close code of a socket without session
HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Gate:
    """Lets a request through, or answers it here."""

    def __init__(self, app: Any, accounts: Accounts, cookie: str, policy: str) -> None:
        self.app, self.accounts, self.cookie, self.policy = app, accounts, cookie, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        sid = cookie_value(headers.get("cookie", ""), self.cookie)
        user = self.accounts.user(sid, wall_now())
        origin = headers.get("origin")
        same_origin = origin is None or urlsplit(origin).netloc == headers.get("host")
        if scope["type"] == "websocket" and not (user.name and same_origin):
            await receive()
            await send({"type": "websocket.close", "code": ENDED})
            return
        if scope["type"] == "http":
            send = self._with_headers(scope["path"], send)
            refusal = _refusal(scope, headers, same_origin=same_origin, known=user is not NOBODY)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        token = CURRENT.set(Visit(user, lambda: bool(self.accounts.user(sid, wall_now()).name)))
        try:
            await self.app(scope, receive, send)
        finally:
            CURRENT.reset(token)

    def _with_headers(self, path: str, send: Send) -> Send:
        """Add the security headers; Dash's fingerprinted scripts keep their own caching."""
        cached = path.startswith("/_dash-component-suites")

        async def send_more(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["Content-Security-Policy"] = self.policy
                for name, value in HEADERS.items():
                    if not (cached and name == "Cache-Control"):
                        answer[name] = value
            await send(message)

        return send_more


def _refusal(scope: Scope, headers: dict[str, str], *, same_origin: bool, known: bool) -> Response | None:
    reads = scope["method"] in ("GET", "HEAD")
    if not same_origin and not reads:
        return JSONResponse({"error": "a request from another page was refused"}, 403)
    if known or scope["path"] in OPEN_PATHS:
        return None
    if reads and "text/html" in headers.get("accept", ""):
        return RedirectResponse("/login", 303)
    return JSONResponse({"error": "sign in first"}, 401)


def cookie_value(header: str, name: str) -> str:
    """One cookie out of the header; empty when absent or broken."""
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def content_policy(script_hashes: list[str]) -> str:
    """What a browser may load: from this server and nowhere else."""
    return "; ".join(
        [
            "default-src 'self'",
            "script-src 'self' " + " ".join(script_hashes),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "object-src 'none'",
        ]
    )
