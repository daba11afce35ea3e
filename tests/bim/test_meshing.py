"""Meshing in a child: a body that crashes or hangs the engine costs itself only."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bim.meshing import guarded, mesh, one_by_one
from bim.opening import open_model

CORNERS, FACES = np.zeros((3, 3)), np.array([[0, 1, 2]])


class Item:
    def __init__(self, number: int) -> None:
        self.number = number

    def id(self) -> int:
        return self.number


def crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    time.sleep(60)


def worker(trouble: Callable[[], None], bad: int) -> tuple[Any, Any]:
    """A fast and a sure way of meshing that both come to grief on one item, as the engine does."""

    def fast(file: Any, items: list[Item]) -> Iterator[Any]:
        for item in items:
            if item.id() == bad:
                trouble()
            yield item.id(), CORNERS, FACES

    def single(file: Any, items: list[Item]) -> Iterator[Any]:
        for item in items:
            yield item.id()
            if item.id() == bad:
                trouble()
            yield item.id(), CORNERS, FACES

    return fast, single


@pytest.mark.parametrize("trouble", [crash, hang])
def test_a_body_that_crashes_or_hangs_the_engine_costs_itself_only(trouble: Callable[[], None]) -> None:
    fast, single = worker(trouble, bad=3)

    done = guarded(None, [Item(n) for n in range(1, 7)], 0.5, fast, single)

    assert sorted(done.meshes) == [1, 2, 4, 5, 6]
    assert done.failed == [3]


def test_the_sure_way_gives_the_same_bodies_as_the_fast_one(model_file: Callable[..., Path]) -> None:
    file = open_model(model_file()).file
    spaces = file.by_type("IfcSpace")
    fast = mesh(file, spaces)
    sure = guarded(file, spaces, 30.0, one_by_one)

    assert sorted(fast.meshes) == sorted(sure.meshes) == sorted(space.id() for space in spaces)
    assert fast.failed == sure.failed == []
    for entity, (vertices, faces) in fast.meshes.items():
        assert np.ptp(vertices, axis=0) == pytest.approx(np.ptp(sure.meshes[entity][0], axis=0))
        assert len(faces) == len(sure.meshes[entity][1])
