"""The state folder: one place per site, group and witness, the site lock, and files written whole or not at all."""

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from twin.errors import StateError


class StateFolder:
    """`<root>/{sites/<site>, groups/<group>, witness}`; folders are made when first asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self) -> Path:
        """The folder itself, before anything else is put into it."""
        return self._made()

    def site(self, name: str) -> Path:
        return self._made("sites", name)

    def group(self, name: str) -> Path:
        return self._made("groups", name)

    def witness(self) -> Path:
        return self._made("witness")

    def _made(self, *parts: str) -> Path:
        folder = self.root.joinpath(*parts)
        try:
            # What people did and what was said of a building is its owner's: nobody else on this machine looks into a state folder.
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for level in range(len(parts)):
                self.root.joinpath(*parts[: level + 1]).mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise StateError(f"{folder}: cannot be made ({error.strerror}); choose another place with --state") from None
        return folder


def write_whole(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file whole or not at all: temporary name, fsync, rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        _take_away(temporary)
        raise StateError(f"{path}: cannot be written ({error.strerror}); check the disk and the folder's owner") from None


def write_all_whole(contents: Mapping[Path, bytes]) -> None:
    """Write several files that belong together: all of them or none. What stood there before comes back if one cannot be put in place."""
    written: dict[Path, Path] = {}
    before: dict[Path, bytes | None] = {}
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            written[path] = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            with written[path].open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path, new in written.items():
            before[path] = path.read_bytes() if path.exists() else None
            new.replace(path)
    except OSError as error:
        for path in [p for p in before if not written[p].exists()]:
            earlier = before[path]
            _take_away(path) if earlier is None else write_whole(path, earlier)
        for new in written.values():
            _take_away(new)
        where = error.filename or next(iter(contents))
        raise StateError(
            f"{where}: cannot be written ({error.strerror}); nothing was changed; check the disk and the folder's owner"
        ) from None


def _take_away(path: Path) -> None:
    """A disk that takes no file lets none go either: that is no second error."""
    with suppress(OSError):
        path.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all, sorted, so that equal values give equal bytes."""
    write_whole(path, json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n")


def read_json(path: Path) -> Any:
    """Read JSON that another process wrote; StateError when it is absent or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StateError(f"{path}: not there (yet); is the process that writes it running?") from None
    except ValueError as error:
        raise StateError(f"{path}: not readable as JSON ({error}); restore it or delete it") from None


@contextmanager
def site_lock(folder: Path, what: str) -> Iterator[None]:
    """Hold the site's one controller lock; StateError names the process that holds it. Freed by the kernel if we die."""
    path = folder / "controller.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(handle, 200).decode(errors="replace") or "another process"
            raise StateError(
                f"{folder.name}: a controller is already running ({holder}); stop it first, or use `wattproof release`"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{what}, process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(handle)


@contextmanager
def endpoint_locks(endpoints: Iterable[str]) -> Iterator[None]:
    """Hold each `protocol host:port` on this machine: two gateways that command one device would fight, whatever their state folders."""
    folder = Path(tempfile.gettempdir()) / "wattproof-endpoints"
    handles: list[int] = []
    endpoint = ""
    try:
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            folder.chmod(0o1777)  # gateways of several users meet here
        for endpoint in sorted(set(endpoints)):
            name = re.sub(r"[^a-z0-9.:-]+", "_", endpoint.lower())
            handles.append(os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o666))
            fcntl.flock(handles[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(handles[-1], 0)
            os.pwrite(handles[-1], f"process {os.getpid()}".encode(), 0)
    except BlockingIOError:
        holder = os.read(handles[-1], 200).decode(errors="replace") or "another process"
        _close(handles)
        raise StateError(f"{endpoint} is commanded by another gateway on this machine ({holder}); stop one of them") from None
    except OSError as error:
        _close(handles)
        raise StateError(f"{folder}: {endpoint} cannot be locked ({error.strerror}); check the folder's owner and the open files") from None
    try:
        yield
    finally:
        _close(handles)


def _close(handles: Iterable[int]) -> None:
    for handle in handles:
        os.close(handle)


def lock_is_held(folder: Path) -> bool:
    """Whether some process controls the site now."""
    path = folder / "controller.lock"
    if not path.exists():
        return False
    handle = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
