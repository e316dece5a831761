"""One comparison: what shellenv takes beside what does the bare work, and what is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """Times in ms. `wanted` is the ratio that is allowed, or, if `over`, the ms more than bare."""

    what: str
    beside: str
    bare: float
    ours: float
    wanted: float
    over: bool = False

    @property
    def found(self) -> float:
        """The ratio, or the ms more."""
        return self.ours - self.bare if self.over else self.ours / self.bare

    def words(self) -> list[str]:
        """The row of a table."""
        verdict = "met" if self.found <= self.wanted else "NOT MET"
        found, wanted = (
            (f"+{self.found:.0f} ms", f"+{self.wanted:.0f} ms")
            if self.over
            else (f"{self.found:.2f}", f"{self.wanted}")
        )
        return [
            *(self.what, self.beside, f"{self.bare:.0f}", f"{self.ours:.0f}"),
            *(found, wanted, verdict),
        ]


HEAD = ["", "beside", "bare, ms", "shellenv, ms", "found", "wanted", ""]


def terminal(row: Row) -> str:
    """A row for people to read while the next is measured."""
    what, beside, bare, ours, found, wanted, verdict = row.words()
    verdict = f"(at most {wanted}: {verdict})"
    return f"  {what:58} {bare:>6} ms {ours:>6} ms {found:>8} {verdict}, {beside}"


def table(rows: Iterable[Row]) -> Iterator[str]:
    """The rows as a table of Markdown."""
    yield f"| {' | '.join(HEAD)} |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | --- |"
    for row in rows:
        yield f"| {' | '.join(row.words())} |"


def write(name: str, lines: Iterable[str]) -> Path:
    """Write a page of docs/."""
    path = Path(__file__).parent.parent / "docs" / name
    path.write_text("\n".join(lines) + "\n")
    return path
