"""Work done aside gives its result or its error, and its process never outlives the block."""

import os
import signal
import time

import pytest

from bim.aside import aside


def test_the_result_comes_from_another_process_that_sees_what_was_open() -> None:
    opened = object()

    with aside(lambda: (id(opened), os.getpid())) as later:
        seen, process = later.result()

    assert seen == id(opened)
    assert process != os.getpid()


def test_what_the_work_raises_is_raised_where_it_is_waited_for() -> None:
    def fail() -> None:
        raise ValueError("the model is damaged")

    with aside(fail) as later, pytest.raises(ValueError, match="the model is damaged"):
        later.result()


def test_a_crash_of_the_process_is_told_apart_from_an_answer() -> None:
    with aside(lambda: os.kill(os.getpid(), signal.SIGKILL)) as later, pytest.raises(EOFError):
        later.result()


def test_work_that_nobody_waited_for_is_ended() -> None:
    with aside(lambda: time.sleep(600)):
        pass  # leaving the block would last ten minutes if the work were waited for
