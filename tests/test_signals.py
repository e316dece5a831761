"""Signals that are polled for, by programs of their own: a stop that is not taken would stop them."""

from __future__ import annotations

import sys

import pytest

from shellenv.processes import subprocess

BEGIN = """
import os, select, signal
from shellenv import signals

def send(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)

def heard(wait=None):
    found = select.select([there.fd], [], [], wait)[0] and there.take()
    return [(int(number), sent) for number, sent in found]

watched = {signal.SIGTSTP, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, watched)
signal.signal(signal.SIGCONT, signals.note_continued)
"""
DIRECTLY = "there = signals.Signals(watched)\n"
IN_A_THREAD = "signals._signalfd = lambda _: -1\n" + DIRECTLY  # as where there is no signalfd


def said(code: str) -> str:
    argv = [sys.executable, "-c", BEGIN + code]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("begin", [DIRECTLY, IN_A_THREAD], ids=["directly", "in a thread"])
def test_a_signal_is_taken_once(begin: str) -> None:
    code = "send(signal.SIGTERM); print(heard(), heard(0)); there.close()"
    assert said(begin + code) == "[(15, True)] []\n"


def test_a_stop_that_was_taken_back_is_not_heard_of() -> None:
    code = "send(signal.SIGTSTP, signal.SIGCONT); print(heard(0))"
    assert said(DIRECTLY + code) == "[]\n"


@pytest.mark.parametrize("begin", [DIRECTLY, IN_A_THREAD], ids=["directly", "in a thread"])
@pytest.mark.parametrize(
    ("after", "continued"), [("", False), ("send(signal.SIGCONT)", True)], ids=["stop", "go on"]
)
def test_after_a_stop_it_is_known_whether_we_were_continued(
    begin: str, after: str, continued: bool
) -> None:
    code = f"""send(signal.SIGCONT, signal.SIGTSTP); print(heard())
{after}
print(signals.was_continued())"""
    assert said(begin + code) == f"[(20, True)]\n{continued}\n"


def test_a_stop_between_others_counts_what_came_after_it_alone() -> None:
    """Another signal that is taken is no reason to forget it."""
    code = """send(signal.SIGTSTP); heard(); send(signal.SIGCONT, signal.SIGTERM); print(heard())
print(signals.was_continued())"""
    assert said(DIRECTLY + code) == "[(15, True)]\nTrue\n"
