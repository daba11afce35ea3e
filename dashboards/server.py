"""One server factory: the owner's server (control room and owner page) or the government's (inspector page)."""

import hashlib
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import uvicorn
from dash import Dash, hooks
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from dashboards.access import CURRENT, note_sign_in
from dashboards.accounts import Accounts
from dashboards.desk import Desk
from dashboards.gate import ENDED, Gate, content_policy
from dashboards.pages import government_callbacks, owner_callbacks
from dashboards.signin import SignIn
from dashboards.texts import LANGUAGES, texts
from dashboards.views.ledger import Explorer
from twin.errors import StateError, WireError

Kind = Literal["owner", "government"]
ROLE: Final = {"owner": "operator", "government": "inspector"}
LOOPBACK = "127.0.0.1"
INDEX = (
    '<!DOCTYPE html><html lang="__LANG__"><head>{%metas%}<meta name="viewport" content="width=device-width,initial-scale=1">'
    '<title>{%title%}</title><link rel="icon" href="data:,">{%css%}</head><body>{%app_entry%}'
    "<footer>{%config%}{%scripts%}{%renderer%}</footer></body></html>"
)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pages:
    """A made server: the ASGI app, its accounts and the token of the set-up link (empty when somebody has an account)."""

    app: Any
    accounts: Accounts
    setup_token: str

    def setup_url(self, url: str) -> str:
        """The one-time link, or nothing."""
        return f"{url}/setup?token={self.setup_token}" if self.setup_token else ""


def make_server(kind: Kind, state_root: Path, desks: Sequence[Desk] = (), explorer: Explorer | None = None) -> Pages:
    """Make the ASGI app of one server; `desks` are the owner's sites, `explorer` reads the government's groups.

    One server a process: Dash keeps its newest app in a global, and an older one loses its pages but `/`.
    """
    accounts = Accounts(state_root / "dashboards" / f"{kind}.db")
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # /docs would load scripts from a public host
    app = _ControlRoom(
        __name__,
        server=server,
        title=kind,
        update_title=None,
        serve_locally=True,
        index_string=INDEX,
        suppress_callback_exceptions=True,
        assets_folder=str(Path(__file__).parent / "assets"),
        assets_ignore=r"signin\.css",
    )
    if kind == "owner":
        owner_callbacks.add_owner_pages(app, desks)
    else:
        government_callbacks.add_government_pages(app, state_root, explorer)
    cookie = f"wattproof_{kind}_{hashlib.sha256(str(state_root).encode()).hexdigest()[:8]}"  # two servers on one host share its cookies
    SignIn(accounts, cookie, ROLE[kind], lambda user, role, why: _note(desks, user, role, why)).add_to(server)
    # The last one added is the outermost: the gate stands before Dash's own middleware.
    server.add_middleware(GZipMiddleware, minimum_size=1000)
    server.add_middleware(Gate, accounts=accounts, cookie=cookie, policy=content_policy(list(app.csp_hashes())))
    return Pages(server, accounts, accounts.new_setup_token() if accounts.is_empty() else "")


def _note(desks: Sequence[Desk], user: str, role: str, why: str) -> None:
    """Keep a sign-in in the journal of every site this server shows; a journal that cannot be written must not lock people out."""
    for desk in desks:
        try:
            note_sign_in(desk.follower.journal, user, role, why, desk.site_now())
        except StateError as error:
            log.warning("sign-in not noted: %s", error)


class _ControlRoom(Dash):  # type: ignore[misc]
    """Dash whose page shell follows the language of the session."""

    def interpolate_index(self, **parts: Any) -> str:
        lang = CURRENT.get().user.lang
        parts["title"] = texts(lang)["product_title" if parts.get("title") == "owner" else "product_title_government"]
        return str(super().interpolate_index(**parts)).replace("__LANG__", LANGUAGES.get(lang, "en"))


@hooks.websocket_message()  # type: ignore[untyped-decorator]
def _still_signed_in(_socket: Any, _message: Any) -> Any:
    """A socket outlives sign-out: refuse its next message."""
    return True if CURRENT.get().still_there() else (ENDED, "signed out")


def bind(port: int, host: str = LOOPBACK) -> socket.socket:
    """Take the port now, so that a used one is a clear sentence and not a dead server; port 0 takes a free one."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)  # now, not later: two servers that only bind may share a port
    except (OSError, OverflowError) as error:
        listening.close()
        raise WireError(f"port {port} on {host}: expected it free, got {error}; stop what uses it or choose another with --port") from None
    return listening


class _Quiet(uvicorn.Server):
    """uvicorn that leaves signals to whoever runs it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def web_server(pages: Pages) -> uvicorn.Server:
    """The server to `await serve(sockets=[...])`; end it by setting `should_exit`."""
    return _Quiet(uvicorn.Config(pages.app, log_level="warning", ws_max_size=1 << 20, timeout_graceful_shutdown=2))
