"""Who may come in: accounts, sessions and the one-time set-up link, in one SQLite file of the state folder.

Passwords are kept as salted scrypt hashes, session ids and set-up tokens as SHA-256 only: whoever reads the file cannot sign in with it.
"""

import hashlib
import hmac
import secrets
import sqlite3
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from twin.errors import AccessError, StateError

PASSWORD_LENGTH_MIN = 10  # scrypt slows guessing; ten characters make it hopeless
NAME_LENGTH_MAX = 60
PASSWORD_LENGTH_MAX = 200  # a longer one only costs hashing time
SESSION_IDLE = timedelta(hours=12)  # a working day: the control room stays open all day
SESSION_LIFE = timedelta(days=7)
SEEN_EVERY = timedelta(minutes=1)  # how often a session's last use is written down


@dataclass(frozen=True, slots=True)
class User:
    """Whoever makes the current request; an empty name means nobody signed in."""

    name: str = ""
    role: str = ""
    lang: str = "en"
    sid: str = ""


NOBODY = User()


class Accounts:
    """The accounts and sessions of one server."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StateError(f"{path}: accounts cannot be opened ({error}); check the folder's owner") from None

    def is_empty(self) -> bool:
        """Whether nobody has an account yet."""
        return self._one("SELECT 1 FROM account LIMIT 1") is None

    def new_setup_token(self) -> str:
        """A fresh token for the set-up link; the one before ends."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._db.execute("DELETE FROM setup")
            self._db.execute("INSERT INTO setup VALUES (?)", (_digest(token),))
        return token

    def setup_is_open(self, token: str) -> bool:
        """Whether this set-up link has not been used yet."""
        return self._one("SELECT 1 FROM setup WHERE token = ?", _digest(token)) is not None

    def set_up(self, token: str, name: str, password: str, role: str) -> None:
        """Make the first account by the set-up link, which then ends; AccessError says what was wrong."""
        name = name.strip()
        if not 1 <= len(name) <= NAME_LENGTH_MAX:
            raise AccessError("setup_name")
        if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
            raise AccessError("setup_password")
        salt = secrets.token_bytes(16)
        kept = _scrypt(password, salt)
        with self._lock:
            used = self._db.execute("DELETE FROM setup WHERE token = ?", (_digest(token),)).rowcount
            if not used:
                raise AccessError("setup_used")
            self._db.execute("INSERT OR REPLACE INTO account VALUES (?,?,?,?)", (name, role, salt, kept))

    def sign_in(self, name: str, password: str, lang: str, now: datetime) -> User | None:
        """Open a session; the hash is computed for unknown names too, so the time taken tells nothing."""
        row = self._one("SELECT role, salt, hash FROM account WHERE name = ?", name.strip())
        role, salt, kept = row or ("", b"nobody has this salt", b"")
        if not hmac.compare_digest(_scrypt(password[:PASSWORD_LENGTH_MAX], salt), kept):
            return None
        sid = secrets.token_urlsafe(32)
        stamp = now.timestamp()
        with self._lock:
            self._db.execute("INSERT INTO session VALUES (?,?,?,?,?,?)", (_digest(sid), name.strip(), role, lang, stamp, stamp))
        return User(name.strip(), role, lang, sid)

    def user(self, sid: str, now: datetime) -> User:
        """Who has this session, if it has not ended; otherwise nobody."""
        row = self._one("SELECT name, role, lang, started, seen FROM session WHERE sid = ?", _digest(sid)) if sid else None
        if row is None:
            return NOBODY
        name, role, lang, started, seen = row
        if now > _time(started) + SESSION_LIFE or now > _time(seen) + SESSION_IDLE:
            self.end(sid)
            return NOBODY
        if now > _time(seen) + SEEN_EVERY:
            self._do("UPDATE session SET seen = ? WHERE sid = ?", now.timestamp(), _digest(sid))
        return User(name, role, lang, sid)

    def set_language(self, sid: str, lang: str) -> None:
        """Change the language of one session."""
        self._do("UPDATE session SET lang = ? WHERE sid = ?", lang, _digest(sid))

    def end(self, sid: str) -> None:
        """End a session here, so that its other tabs and open sockets lose it too."""
        self._do("DELETE FROM session WHERE sid = ?", _digest(sid))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _one(self, query: str, *values: object) -> tuple | None:  # type: ignore[type-arg]
        with self._lock:
            row: tuple | None = self._db.execute(query, values).fetchone()  # type: ignore[type-arg]
        return row

    def _do(self, query: str, *values: object) -> None:
        with self._lock:
            self._db.execute(query, values)


_SCHEMA = """
PRAGMA journal_mode=WAL;
CREATE TABLE IF NOT EXISTS account (name TEXT PRIMARY KEY, role TEXT NOT NULL, salt BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS session (sid BLOB PRIMARY KEY, name TEXT, role TEXT, lang TEXT, started REAL, seen REAL);
CREATE TABLE IF NOT EXISTS setup (token BLOB PRIMARY KEY);
"""


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _time(stamp: float) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)
