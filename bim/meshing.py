"""Bodies as triangles, made in a child process: a body that crashes or hangs the geometry engine costs itself only."""

import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

STALL_S = 30.0  # nothing finished for this long: the body at work is given up
Mesh = tuple[int, Any, Any]  # entity number, vertices (n x 3, metres, world), triangles (m x 3)


@dataclass
class Meshed:
    """The bodies that could be meshed, and the entity numbers of those that the engine crashed or hung on."""

    meshes: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    failed: list[int] = field(default_factory=list)


def mesh(file: Any, items: Sequence[Any], stall_s: float = STALL_S) -> Meshed:
    """Mesh the bodies of `items`; those without a body are in neither list."""
    wanted = [item for item in items if getattr(item, "Representation", None) is not None]
    if not wanted:
        return Meshed()
    if sys.platform != "linux":  # no fork that shares an open model
        return Meshed({entity: (v, f) for entity, v, f in together(file, wanted)})
    return guarded(file, wanted, stall_s)


def guarded(file: Any, items: Sequence[Any], stall_s: float, fast: Any = None, single: Any = None) -> Meshed:
    """All at once in one child; if it dies or stalls, the rest one by one, each failure costing one body."""
    done = Meshed()
    left = {item.id(): item for item in items}
    work = fast or together
    while left:
        ended_well, at_work = _in_child(file, list(left.values()), work, stall_s, done)
        left = {entity: item for entity, item in left.items() if entity not in done.meshes and entity not in done.failed}
        if ended_well:
            return done
        if at_work is not None:
            done.failed.append(at_work)
            left.pop(at_work, None)
        work = single or one_by_one
    return done


def together(file: Any, items: Sequence[Any]) -> Iterator[Mesh]:
    """The fast way: equal shapes are meshed once."""
    import ifcopenshell.geom

    iterator = ifcopenshell.geom.iterator(_settings(), file, 1, include=list(items))
    more = iterator.initialize()
    while more:
        shape = iterator.get()
        yield int(shape.id), *_arrays(shape.geometry)
        more = iterator.next()


def one_by_one(file: Any, items: Sequence[Any]) -> Iterator[Mesh | int]:
    """The sure way: first says which body is at work, then gives it; one that raises is left out."""
    import ifcopenshell.geom

    settings = _settings()
    for item in items:
        yield int(item.id())
        try:
            shape = ifcopenshell.geom.create_shape(settings, item)
        except RuntimeError:
            continue
        yield int(item.id()), *_arrays(shape.geometry)


def _settings() -> Any:
    import ifcopenshell.geom

    settings = ifcopenshell.geom.settings()
    settings.set("use-world-coords", True)
    settings.set("weld-vertices", True)
    return settings


def _arrays(geometry: Any) -> tuple[Any, Any]:
    return np.array(geometry.verts).reshape(-1, 3), np.array(geometry.faces).reshape(-1, 3)


def _in_child(file: Any, items: Sequence[Any], work: Any, stall_s: float, done: Meshed) -> tuple[bool, int | None]:
    """(ended well, entity at work when it did not). The child is a fork: it has the open model and nothing to start."""
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_send_all, args=(send, receive, file, items, work), daemon=True)
    child.start()
    send.close()
    at_work: int | None = None
    ended_well = False
    try:
        while receive.poll(stall_s):
            message = receive.recv()
            if message is None:
                ended_well = True
                break
            if isinstance(message, int):
                at_work = message
            else:
                entity, vertices, faces = message
                done.meshes[entity] = (vertices, faces)
                at_work = None
    except EOFError:
        pass
    finally:
        receive.close()
        if not ended_well:
            child.kill()
        child.join()
    return ended_well, at_work


def _send_all(send: Connection, receive: Connection, file: Any, items: Sequence[Any], work: Any) -> None:
    receive.close()
    for message in work(file, items):
        send.send(message)
    send.send(None)
