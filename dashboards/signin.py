"""Plain pages without scripts: the set-up link, signing in and out, the language, and a sign of life."""

import asyncio
import html
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboards.access import CURRENT
from dashboards.accounts import PASSWORD_LENGTH_MIN, SESSION_LIFE, Accounts
from dashboards.gate import cookie_value
from dashboards.texts import LANGUAGES, other_language, preferred, texts
from twin.clock import wall_now
from twin.errors import AccessError

FORM_BYTES_MAX = 10_000
FAILURE_DELAY_S = 0.25  # doubled with each failure of the same name
FAILURE_DELAY_S_MAX = 8.0
NAMES_COUNTED_MAX = 1000  # beyond that the counters start anew: memory has a limit

NoteSignIn = Callable[[str, str, str], None]  # user, role (empty: refused), why


class SignIn:
    """The open paths of one server; everything else stays behind the gate."""

    def __init__(self, accounts: Accounts, cookie: str, role: str, note: NoteSignIn) -> None:
        self.accounts, self.cookie, self.role, self.note = accounts, cookie, role, note
        self._failures: Counter[str] = Counter()

    def add_to(self, server: FastAPI) -> None:
        """Lay the paths into the server."""
        server.add_api_route("/healthz", self.healthz, methods=["GET"])
        server.add_api_route("/session", self.who, methods=["GET"])
        server.add_api_route("/setup", self.show_setup, methods=["GET"])
        server.add_api_route("/setup", self.set_up, methods=["POST"])
        server.add_api_route("/login", self.show_login, methods=["GET"])
        server.add_api_route("/login", self.sign_in, methods=["POST"])
        server.add_api_route("/logout", self.sign_out, methods=["POST"])
        server.add_api_route("/lang/{code}", self.set_language, methods=["GET"])

    async def healthz(self) -> dict[str, bool]:
        """The process lives."""
        return {"ok": True}

    async def who(self) -> dict[str, str]:
        """Lets a page notice that its session has ended."""
        return {"user": CURRENT.get().user.name}

    async def show_setup(self, request: Request) -> HTMLResponse:
        """The page behind the one-time link."""
        lang, token = _language(request), request.query_params.get("token", "")
        if not await asyncio.to_thread(self.accounts.setup_is_open, token):
            return _page("login", lang, texts(lang)["setup_used"], status=410)
        return _page("setup", lang, token=token)

    async def set_up(self, request: Request) -> Response:
        """Make the first account and sign it in."""
        form = await _form(request)
        lang, token = _language(request, form.get("lang", "")), form.get("token", "")
        try:
            await asyncio.to_thread(self.accounts.set_up, token, form.get("user", ""), form.get("password", ""), self.role)
        except AccessError as error:
            kind = "login" if str(error) == "setup_used" else "setup"
            return _page(kind, lang, texts(lang)[str(error)], status=400, token=token)
        return await self._enter(request, form, lang)

    async def show_login(self, request: Request) -> HTMLResponse:
        """Ask who it is."""
        return _page("login", _language(request))

    async def sign_in(self, request: Request) -> Response:
        """Check the name and password."""
        form = await _form(request)
        return await self._enter(request, form, _language(request, form.get("lang", "")))

    async def sign_out(self) -> Response:
        """End the session here, not only in this browser."""
        self.accounts.end(CURRENT.get().user.sid)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(self.cookie)
        return answer

    async def set_language(self, code: str, request: Request) -> Response:
        """Change this session's language and go back to the page."""
        if code in LANGUAGES:
            self.accounts.set_language(CURRENT.get().user.sid, code)
        came_from = urlsplit(request.headers.get("referer", "")).path
        return RedirectResponse(came_from if came_from == "/owner" else "/", 303)

    async def _enter(self, request: Request, form: dict[str, str], lang: str) -> Response:
        """A new session id each time, and this browser's former session ends: its open socket must not serve two users."""
        name = form.get("user", "").strip()
        if self._failures[name]:
            await asyncio.sleep(min(FAILURE_DELAY_S * 2.0 ** min(self._failures[name] - 1, 10), FAILURE_DELAY_S_MAX))
        user = await asyncio.to_thread(self.accounts.sign_in, name, form.get("password", ""), lang, wall_now())
        if user is None:
            if len(self._failures) > NAMES_COUNTED_MAX:
                self._failures.clear()
            self._failures[name] += 1
            await asyncio.to_thread(self.note, name, "", "wrong name or password")
            return _page("login", lang, texts(lang)["wrong"], status=401)
        self._failures.pop(name, None)
        self.accounts.end(cookie_value(request.headers.get("cookie", ""), self.cookie))
        await asyncio.to_thread(self.note, user.name, user.role, "signed in")
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self.cookie, user.sid, max_age=int(SESSION_LIFE.total_seconds()), httponly=True, samesite="lax")
        return answer


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            return {}
    return {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _language(request: Request, asked: str = "") -> str:
    asked = asked or request.query_params.get("lang", "")
    return asked if asked in LANGUAGES else preferred(request.headers.get("accept-language", ""))


def _page(kind: str, lang: str, note: str = "", status: int = 200, token: str = "") -> HTMLResponse:
    """The form to sign in, or the one behind the set-up link."""
    words = {key: html.escape(text) for key, text in texts(lang).items()}
    to = other_language(lang)
    setup = kind == "setup"
    token = html.escape(token, quote=True)
    style = (Path(__file__).parent / "assets" / "signin.css").read_text(encoding="utf-8")
    text = f"""<!DOCTYPE html><html lang="{LANGUAGES[lang]}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">
<title>{words["setup" if setup else "sign_in"]} · {words["product"]}</title><style>{style}</style></head><body><main>
<p class="product">{words["product"]}</p><h1>{words["setup" if setup else "sign_in"]}</h1>
{f"<p>{words['setup_explain']}</p>" if setup else ""}<p role="alert" class="note">{html.escape(note)}</p>
<form method="post" action="/{kind}"><label>{words["user"]}<input name="user" autocomplete="username" required maxlength="60"></label>
<label>{words["password_hint" if setup else "password"]}<input name="password" type="password" required
autocomplete="{"new" if setup else "current"}-password"{f' minlength="{PASSWORD_LENGTH_MIN}"' if setup else ""}></label>
{f'<input type="hidden" name="token" value="{token}">' if setup else ""}<input type="hidden" name="lang" value="{lang}">
<button>{words["setup_do" if setup else "sign_in"]}</button></form>
<p><a href="/{kind}?lang={to}{f"&amp;token={token}" if setup else ""}" lang="{LANGUAGES[to]}">{words["other"]}</a></p>
</main></body></html>"""
    return HTMLResponse(text, status)
