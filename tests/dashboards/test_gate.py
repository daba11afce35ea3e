"""The gate: closed by default, same origin only, sessions that the server ends, a set-up link that works once."""

import http.client
import re
from urllib.parse import urlencode, urlsplit

import pytest

from dashboards.server import bind
from twin.clock import wall_now
from twin.errors import WireError

PASSWORD = "a long password"


def ask(url: str, method: str, path: str, body: str = "", **headers: str) -> http.client.HTTPResponse:
    """One plain request; the answer is read, its body kept in `.text`."""
    address = urlsplit(url)
    line = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    if body:
        headers["Content_Type"] = "application/x-www-form-urlencoded"
    try:
        line.request(method, path, body or None, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = line.getresponse()
        answer.text = answer.read().decode("utf-8", "replace") if answer.status != 101 else ""
        return answer
    finally:
        line.close()


def shake_hands(url: str, origin: str, cookie: str = "") -> int:
    """The status of a WebSocket handshake; 101 means it was let in."""
    key = "AAAAAAAAAAAAAAAAAAAAAA=="
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13", "Sec_WebSocket_Key": key}
    return ask(url, "GET", "/_dash-ws-callback", Origin=origin, Cookie=cookie, **upgrade).status


def sign_up(url: str, pages) -> str:
    """Use the set-up link; returns the session's cookie."""
    form = urlencode({"token": pages.setup_token, "user": "Mei Lin", "password": PASSWORD, "lang": "en"})
    answer = ask(url, "POST", "/setup", form)
    assert answer.status == 303, answer.text
    return answer.getheader("Set-Cookie").split(";")[0]


def test_strangers_get_the_form_a_401_or_a_closed_socket(owner_server):
    url, _ = owner_server
    assert ask(url, "GET", "/", Accept="text/html").status == 303
    assert ask(url, "GET", "/docs", Accept="text/html").status == 303
    assert ask(url, "GET", "/_dash-layout").status == 401
    assert ask(url, "GET", "/assets/wattproof.js").status == 401
    assert ask(url, "POST", "/_dash-update-component", "{}").status == 401
    assert shake_hands(url, url) == 403
    assert ask(url, "GET", "/healthz").status == 200


def test_the_documentation_of_the_web_framework_is_closed_even_to_users(owner_server):
    url, pages = owner_server
    cookie = sign_up(url, pages)
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert "swagger" not in ask(url, "GET", path, Cookie=cookie, Accept="text/html").text.lower()
        assert "openapi" not in ask(url, "GET", path, Cookie=cookie).text.lower()


def test_the_set_up_link_works_once_and_signs_in(owner_server):
    url, pages = owner_server
    link = urlsplit(pages.setup_url(url))
    assert "Create account" in ask(url, "GET", f"{link.path}?{link.query}&lang=en").text
    cookie = sign_up(url, pages)
    assert ask(url, "GET", "/", Accept="text/html", Cookie=cookie).status == 200
    assert ask(url, "GET", f"{link.path}?{link.query}").status == 410
    again = urlencode({"token": pages.setup_token, "user": "Eve", "password": PASSWORD, "lang": "en"})
    assert ask(url, "POST", "/setup", again).status == 400
    assert pages.accounts.is_empty() is False


@pytest.mark.parametrize(("user", "password", "said"), [("", PASSWORD, "1 to 60"), ("Mei", "short", "at least 10")])
def test_a_poor_name_or_password_is_refused_and_the_link_stays(owner_server, user, password, said):
    url, pages = owner_server
    answer = ask(url, "POST", "/setup", urlencode({"token": pages.setup_token, "user": user, "password": password, "lang": "en"}))
    assert answer.status == 400
    assert said in answer.text
    assert pages.accounts.setup_is_open(pages.setup_token)


def test_the_role_of_the_first_account_is_the_servers(owner_server):
    url, pages = owner_server
    cookie = sign_up(url, pages)
    assert pages.accounts.user(cookie.partition("=")[2], wall_now()).role == "operator"
    assert "Mei Lin" in ask(url, "GET", "/session", Cookie=cookie).text


def test_a_foreign_page_cannot_use_a_session(owner_server):
    url, pages = owner_server
    cookie = sign_up(url, pages)
    assert shake_hands(url, url, cookie) == 101
    assert shake_hands(url, "http://elsewhere.example", cookie) == 403
    assert ask(url, "POST", "/logout", Origin="http://elsewhere.example", Cookie=cookie).status == 403
    assert ask(url, "POST", "/login", "user=x&password=y", Origin="null").status == 403


def test_an_ended_session_is_dead_wherever_its_cookie_was_kept(owner_server):
    url, pages = owner_server
    cookie = sign_up(url, pages)
    assert ask(url, "GET", "/_dash-layout", Cookie=cookie).status == 200
    assert ask(url, "POST", "/logout", Origin=url, Cookie=cookie).status == 303
    assert ask(url, "GET", "/_dash-layout", Cookie=cookie).status == 401
    assert shake_hands(url, url, cookie) == 403


def test_signing_in_again_ends_this_browsers_former_session(owner_server):
    url, pages = owner_server
    first = sign_up(url, pages)
    answer = ask(url, "POST", "/login", urlencode({"user": "Mei Lin", "password": PASSWORD}), Cookie=first)
    second = answer.getheader("Set-Cookie").split(";")[0]
    assert second != first
    assert ask(url, "GET", "/_dash-layout", Cookie=first).status == 401
    assert ask(url, "GET", "/_dash-layout", Cookie=second).status == 200


def test_a_wrong_password_is_refused_and_kept_in_the_journal(owner_server, live_site):
    url, pages = owner_server
    sign_up(url, pages)
    assert ask(url, "POST", "/login", urlencode({"user": "Mei Lin", "password": "not this one"})).status == 401
    newest = [row.body for row in live_site.journal.latest(["sign_in"], 2)]
    assert [(b["user"], b["ok"]) for b in newest] == [("Mei Lin", False), ("Mei Lin", True)]


def test_every_answer_forbids_the_browser_to_ask_elsewhere(owner_server):
    url, pages = owner_server
    cookie = sign_up(url, pages)
    for path in ("/", "/login", "/assets/look.css"):
        answer = ask(url, "GET", path, Cookie=cookie, Accept="text/html")
        policy = answer.getheader("Content-Security-Policy")
        assert "default-src 'self'" in policy
        assert "'unsafe-eval'" not in policy
        assert not re.search(r"https?:", policy)
        assert answer.getheader("X-Frame-Options") == "DENY"
    assert ask(url, "GET", "/", Cookie=cookie, Accept="text/html").getheader("Cache-Control") == "no-store"


def test_a_used_port_is_one_clear_sentence():
    with bind(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WireError, match=rf"port {port} on 127.0.0.1: expected it free, got .*--port"):
            bind(port)
