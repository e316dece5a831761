"""Stdout and stderr that come through one connection."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shellenv.frames import Frames

PARTS = st.lists(st.tuples(st.sampled_from((1, 2)), st.binary(max_size=20)))


@given(PARTS, st.integers(1, 30))
def test_stdout_and_stderr_are_told_apart_wherever_what_comes_is_cut(
    parts: list[tuple[int, bytes]], size: int
) -> None:
    sent = b"".join(
        bytes((number, 0, 0, 0)) + len(data).to_bytes(4, "big") + data for number, data in parts
    )
    frames = Frames()
    came = [
        part
        for start in range(0, len(sent), size)
        for part in frames.take(memoryview(sent[start : start + size]))
    ]
    for number in (1, 2):
        expected = b"".join(data for to, data in parts if to == number)
        assert b"".join(part for to, part in came if to == number) == expected
