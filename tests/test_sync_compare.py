"""What the sync decides: the whole table, and whole trees in a model that can lose nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shellenv.sync import compare, entry
from shellenv.sync.compare import (
    ADOPT,
    CONFLICT,
    DELETE_HERE,
    DELETE_THERE,
    FORGET,
    NOTHING,
    PULL,
    PULL_MODE,
    PUSH,
    PUSH_MODE,
    Path,
)
from shellenv.sync.entry import Entry
from shellenv.sync.ignore import Rules
from shellenv.sync.ledger import Ledger
from shellenv.sync.manifest import Manifest

OLD = Entry("f", 0o644, 3, 1000, 1000, 7)
MODE = OLD._replace(mode=0o755, ctime=2000)
TOUCHED = OLD._replace(ctime=2000)
OURS = OLD._replace(size=4, mtime=2000, ctime=2000)
THEIRS = OLD._replace(size=5, mtime=3000, ctime=3000)
DIRECTORY = Entry("d", 0o755, 0, 0, 0, 0)
SHUT = DIRECTORY._replace(mode=0o700)
LINK = Entry("l", 0o777, 0, 0, 0, 0, b"target")
OTHER_LINK = LINK._replace(target=b"other")

CASES: list[tuple[str, Path, bool | None, str]] = [
    ("unchanged", Path(OLD, OLD, OLD, OLD), None, NOTHING),
    ("changed here", Path(OLD, OURS, OLD, OLD), None, PUSH),
    ("changed there", Path(OLD, OLD, OLD, THEIRS), None, PULL),
    ("created here", Path(None, OURS, None, None), None, PUSH),
    ("created there", Path(None, None, None, THEIRS), None, PULL),
    ("deleted here", Path(OLD, None, OLD, OLD), None, DELETE_THERE),
    ("deleted there", Path(OLD, OLD, OLD, None), None, DELETE_HERE),
    ("deleted on both", Path(OLD, None, OLD, None), None, FORGET),
    ("deleted here, and only here it was", Path(DIRECTORY, None, None, None), None, FORGET),
    ("deleted there, and only there it was", Path(None, None, DIRECTORY, None), None, FORGET),
    ("mode changed here", Path(OLD, MODE, OLD, OLD), True, PUSH_MODE),
    ("mode changed there", Path(OLD, OLD, OLD, MODE), True, PULL_MODE),
    ("mode changed here, and more", Path(OLD, MODE, OLD, OLD), False, PUSH),
    ("mode changed there, and more", Path(OLD, OLD, OLD, MODE), False, PULL),
    ("touched here", Path(OLD, TOUCHED, OLD, OLD), True, ADOPT),
    ("changed here with the old time", Path(OLD, TOUCHED, OLD, OLD), False, PUSH),
    ("changed there with the old time", Path(OLD, OLD, OLD, TOUCHED), False, PULL),
    ("changed on both", Path(OLD, OURS, OLD, THEIRS), None, CONFLICT),
    ("changed on both, the same", Path(OLD, OURS, OLD, OURS), True, ADOPT),
    ("created on both", Path(None, OURS, None, THEIRS), None, CONFLICT),
    ("created on both, the same", Path(None, OURS, None, OURS), True, ADOPT),
    ("the same but for the mode", Path(None, OLD, None, MODE), True, PUSH_MODE),
    ("deleted here, changed there", Path(OLD, None, OLD, THEIRS), None, PULL),
    ("deleted there, changed here", Path(OLD, OURS, OLD, None), None, PUSH),
    ("deleted here, mode there", Path(OLD, None, OLD, MODE), None, PULL),
    ("deleted there, mode here", Path(OLD, MODE, OLD, None), None, PUSH),
    ("mode here, changed there", Path(OLD, MODE, OLD, THEIRS), None, CONFLICT),
    ("changed here, mode there", Path(OLD, OURS, OLD, MODE), None, CONFLICT),
    ("file to directory here", Path(OLD, DIRECTORY, OLD, OLD), None, PUSH),
    ("directory to file there", Path(DIRECTORY, DIRECTORY, DIRECTORY, OLD), None, PULL),
    ("file to link here", Path(OLD, LINK, OLD, OLD), None, PUSH),
    ("link elsewhere there", Path(LINK, LINK, LINK, OTHER_LINK), None, PULL),
    ("links elsewhere", Path(LINK, OTHER_LINK, LINK, None), None, PUSH),
    ("links to two places", Path(None, LINK, None, OTHER_LINK), None, CONFLICT),
    ("links to one place", Path(None, LINK, None, LINK), None, ADOPT),
    ("file and directory", Path(None, OLD, None, DIRECTORY), None, CONFLICT),
    ("directories", Path(None, DIRECTORY, None, DIRECTORY), None, ADOPT),
    ("directories of two modes", Path(None, DIRECTORY, None, SHUT), None, PUSH_MODE),
    ("directory's mode there", Path(DIRECTORY, DIRECTORY, DIRECTORY, SHUT), None, PULL_MODE),
    ("absent there as it was", Path(OLD, OLD, None, None), None, NOTHING),
    ("a past that only they have", Path(None, None, DIRECTORY, DIRECTORY), None, NOTHING),
]


@pytest.mark.parametrize(
    ("path", "equal", "action"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_each_pair_of_changes_has_its_outcome(path: Path, equal: bool | None, action: str) -> None:
    asked = set(compare.questions({b"x": path}))
    assert bool(asked) or equal is None or path.here == path.there, "the question would be asked"
    assert compare.decide(path, equal) == action


def test_the_table_has_every_pair() -> None:
    changes = {here for here, _ in compare.DECISIONS}
    assert len(compare.DECISIONS) == len(changes) ** 2


VERSIONS = st.sampled_from([OLD, MODE, TOUCHED, OURS, THEIRS, DIRECTORY, SHUT, LINK, OTHER_LINK])
MAYBE = st.none() | VERSIONS


@given(MAYBE, MAYBE, MAYBE, MAYBE, st.sampled_from([True, False, None]))
@settings(max_examples=2000)
def test_nothing_replaces_or_deletes_what_the_other_side_has_changed(
    was_here: Entry | None,
    here: Entry | None,
    was_there: Entry | None,
    there: Entry | None,
    equal: bool | None,
) -> None:
    path = Path(was_here, here, was_there, there)
    action = compare.decide(path, equal)
    same_content = equal and here and there and here.kind == there.kind
    if action in (PUSH, DELETE_THERE) and there is not None:
        assert compare.change(was_there, there) == compare.SAME or (
            equal is False and compare.change(was_there, there) != compare.CHANGED
        )
    if action in (PULL, DELETE_HERE) and here is not None:
        assert compare.change(was_here, here) == compare.SAME or (
            equal is False and compare.change(was_here, here) != compare.CHANGED
        )
    if action == ADOPT:
        assert same_content or (
            here and there and here._replace(ctime=0) == there._replace(ctime=0)
        )


# --- whole trees --------------------------------------------------------------------------------

Tree = dict[bytes, str]
"""Paths and what is there: a file's content, or "/" for a directory."""

NAMES = st.sampled_from([b"a", b"b", b"c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
EDITS = st.lists(
    st.tuples(PATHS, st.sampled_from(["write", "write", "delete", "mkdir"])), max_size=6
)


def edited(tree: Tree, edits: list[tuple[bytes, str]], who: str) -> Tree:
    tree = dict(tree)
    for number, (path, what) in enumerate(edits):
        for name in [name for name in tree if name == path or name.startswith(path + b"/")]:
            if what != "mkdir" or tree[path] != "/":
                del tree[name]
        if what == "delete":
            continue
        for above in compare.parents(path):
            if tree.get(above, "/") != "/":
                tree.pop(path, None)
                break
        else:
            tree.update(dict.fromkeys(compare.parents(path), "/"))
            tree[path] = "/" if what == "mkdir" else f"{who} {number}"
    return tree


def entries(tree: Tree) -> dict[bytes, Entry]:
    found = {}
    for path, content in tree.items():
        if content == "/":
            found[path] = DIRECTORY
        else:
            found[path] = Entry("f", 0o644, hash(content) % 1000, hash(content), 1, 1)
    return found


def synced(past: Tree, here: Tree, there: Tree) -> tuple[Tree, Tree]:
    """Both trees after both directions of a sync, as the plan says."""
    was, ours, theirs = entries(past), entries(here), entries(there)
    paths = {
        name: Path(was.get(name), ours.get(name), was.get(name), theirs.get(name))
        for name in {*was, *ours, *theirs}
        if not was.get(name) == ours.get(name) == theirs.get(name)
    }
    asked = set(compare.questions(paths))
    actions = compare.plan(paths, lambda name: here[name] == there[name] if name in asked else None)
    here, there = dict(here), dict(there)
    for name in sorted(name for name, action in actions.items() if action == CONFLICT):
        for below in sorted(path for path in there if path == name or path.startswith(name + b"/")):
            copy = name + b".from" + below[len(name) :]
            there[copy] = here[copy] = there.pop(below)
    for name in sorted(actions, reverse=True):
        for action, side in ((DELETE_THERE, there), (DELETE_HERE, here)):
            if actions[name] == action and not any(path.startswith(name + b"/") for path in side):
                side.pop(name, None)
    for name in sorted(actions):
        action = actions[name]
        source, target = (here, there) if action in (PUSH, CONFLICT) else (there, here)
        if action in (PUSH, PULL, CONFLICT):
            blocked = [above for above in compare.parents(name) if target.get(above, "/") != "/"]
            assert not blocked, (name, action, actions)
            if source[name] != "/":
                inside = [path for path in target if path.startswith(name + b"/")]
                assert not inside, (name, action, actions)
            target[name] = source[name]
            for above in compare.parents(name):
                target.setdefault(above, "/")
    return here, there


@given(EDITS, EDITS, EDITS)
@settings(max_examples=1500)
def test_whole_trees_become_the_same_and_no_change_is_lost(
    first: list[tuple[bytes, str]], ours: list[tuple[bytes, str]], theirs: list[tuple[bytes, str]]
) -> None:
    past = edited({}, first, "past")
    here, there = edited(past, ours, "here"), edited(past, theirs, "there")
    new_here, new_there = synced(past, here, there)
    assert new_here == new_there
    changed = {
        content
        for tree in (here, there)
        for path, content in tree.items()
        if past.get(path) != content and content != "/"
    }
    assert changed <= set(new_here.values())
    kept = {path for path in past if here.get(path) == there.get(path) == past[path] != "/"}
    for path in kept:
        assert new_here[path] == past[path]


# --- records ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "path", "expected"),
    [
        (b"f 644 3 1.5 2.25 9 a//", b"a", Entry("f", 0o644, 3, 1_500_000_000, 2_250_000_000, 9)),
        (
            b"f 4755 3 1700000000.1234567890 ? 9 a b//",
            b"a b",
            Entry("f", 0o755, 3, 1_700_000_000_123_456_789, None, 9),
        ),
        (b"l 777 0 0 0 0 a//b//c", b"a", Entry("l", 0o777, 0, 0, 0, 0, b"b//c")),
        (b"l 777 0 0 0 0 a///etc", b"a", Entry("l", 0o777, 0, 0, 0, 0, b"/etc")),
        (b"d 1777 0 0 0 0  \n//", b" \n", Entry("d", 0o777, 0, 0, 0, 0)),
    ],
)
def test_records_say_what_find_and_the_scan_print(
    record: bytes, path: bytes, expected: Entry
) -> None:
    assert entry.read(record) == (path, expected)
    assert entry.path_of(record) == path


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (1_123_456_789, 1_123_456_789, True),
        (1_123_456_789, 1_123_456_700, True),  # a file system that keeps 100 ns
        (1_123_456_789, 1_000_000_000, True),  # seconds
        (1_123_456_789, 1_123_456_788, False),
        (1_123_456_789, 2_000_000_000, False),
    ],
)
def test_times_are_alike_as_far_as_file_systems_keep_them(
    one: int, other: int, alike: bool
) -> None:
    assert entry.alike(OLD._replace(mtime=one), OLD._replace(mtime=other)) == alike
    assert entry.alike(OLD._replace(mtime=other), OLD._replace(mtime=one)) == alike


def test_an_unsettled_record_is_never_what_a_scan_finds() -> None:
    record = b"f 644 3 1.5 2.25 9 a//"
    assert entry.unsettled(record) == b"f 644 3 1.5 ? 9 a//"
    path = Path(entry.read(entry.unsettled(record))[1], entry.read(record)[1], OLD, OLD)
    assert compare.change(path.was_here, path.here) == compare.MODE


# --- files that change during a scan --------------------------------------------------------------


def test_a_file_that_changes_during_the_scan_is_looked_at_again_by_this_sync_or_the_next() -> None:
    """A later change in the same tick of the clock has the same times and may have the same size."""
    at = 1_700_000_000_000_000_000

    def record(ctime: int) -> bytes:
        return b"f 644 3 %d %d 9 a//" % (ctime, ctime)

    def ledger() -> Ledger:
        return Ledger(Manifest([], []), ([record(at - 1000)], at), ([], at), Rules([]))

    assert ledger().restless == ([b"a"], [])
    calm = ledger()
    calm.look_again(({b"a": record(at - 1000)}, at + entry.TICK * 2), ({}, 0))
    assert calm.scanned_here(b"a") == record(at - 1000)
    busy = ledger()
    later = record(at + entry.TICK)
    busy.look_again(({b"a": later}, at + entry.TICK + 1000), ({}, 0))
    assert busy.scanned_here(b"a") == entry.unsettled(later)
    old = Ledger(Manifest([], []), ([record(at - entry.TICK * 2)], at), ([], at), Rules([]))
    assert old.restless == ([], [])
    assert old.scanned_here(b"a") == record(at - entry.TICK * 2)
    assert entry.settled([record(at - 1000)], at) == [entry.unsettled(record(at - 1000))]
    assert entry.settled([record(at - entry.TICK * 2)], at) == [record(at - entry.TICK * 2)]
    assert entry.settled([b"f 644 3 1.5 1700000000.0000000000 9 a//"], at)[0].count(b"?") == 1
    assert entry.settled([b"f 644 3 1.5 1699999999.9000000000 9 a//"], at)[0].count(b"?") == 0


def test_a_file_with_a_time_of_whole_seconds_may_change_unnoticed_until_the_second_is_over() -> (
    None
):
    at = 1_700_000_000_900_000_000
    for time in (b"1700000000.0000000000", b"1700000000000000000"):
        record = b"f 644 3 1.5 %b 9 a//" % time
        assert entry.settled([record], at) == [entry.unsettled(record)]
        assert entry.is_recent(entry.read(record)[1], at)
        assert entry.seconds_to_rest([record]) > 1
        assert entry.settled([record], at + 1_000_000_000) == [record]
        assert not entry.is_recent(entry.read(record)[1], at + 1_000_000_000)
    assert entry.seconds_to_rest([b"f 644 3 1.5 1700000000.1000000000 9 a//"]) < 1
