"""`register-dock` and `unregister-dock`: what is known about docks, and how ssh learns of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from shellenv import connection, docks, files, hostkeys, paths, ssh, sshconfig
from shellenv.cli import ask, parser, say, write
from shellenv.context import Context
from shellenv.docks import Dock
from shellenv.errors import ShellenvError

LOCK_SECONDS = 10
"""How long to wait for another shellenv that is writing."""


class Change(NamedTuple):
    """A file's content, before and after. One that is empty before does not exist, or is empty."""

    path: str
    before: bytes
    after: bytes


# --- register-dock --------------------------------------------------------------------------


def register(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv register-dock [user@]HOST[:port] [MONIKER]`: check a machine and write it down.

    Checks first, writes last: raises ShellenvError for anything that does not work, and then
    nothing is registered. A host key that was accepted stays accepted.
    """
    options = parser("register-dock")
    options.add_argument(
        "words",
        nargs="*",
        metavar="HOST [MONIKER]",
        help="the machine, an IPv6 address in brackets, and what to call it (default: HOST)",
    )
    options.add_argument("--user", help="who to log in as (default: $DOCK_USER, or as ssh says)")
    options.add_argument("--port", help="sshd's port")
    options.add_argument("--identity", metavar="FILE", help="the private key to use")
    options.add_argument(
        "--accept-host-key",
        metavar="KEY",
        help="accept the host key with this fingerprint (SHA256:...)",
    )
    options.add_argument("--offline", action="store_true", help="do not ask the machine anything")
    options.add_argument("--dry-run", action="store_true", help="print what would change")
    # argparse loses what stands behind `--` if options and words are mixed
    end = list(args).index("--") if "--" in args else len(args)
    chosen = options.parse_intermixed_args(args[:end])
    words = [*chosen.words, *args[end + 1 :]]
    if len(words) not in (1, 2):
        options.error("give a HOST, and a MONIKER if you like")
    dock = requested(ctx, *words, user=chosen.user, port=chosen.port, identity=chosen.identity)
    wanted = _fingerprint(chosen.accept_host_key)
    planned = _registration(ctx, dock)
    if chosen.dry_run:
        _show(ctx, planned)
        return 0
    version = "" if chosen.offline else _checked_version(ctx, dock, wanted, args)
    with _locked(ctx):
        planned = _registration(ctx, dock)
        _carry_out(ctx, planned)
    login = f"{dock.user}@{dock.address}" if dock.user else dock.address
    tail = f", docker {version}" if version else ""
    say(f"shellenv: registered {dock.moniker} ({login}{tail})")
    if not _ssh_reads_our_home(ctx):
        say(
            f"shellenv: plain `ssh {dock.moniker}` does not know it: ssh reads {ssh.home()}/.ssh, "
            f"and HOME is {ctx.home}"
        )
    elif any(change.path == _ssh_config() for change in planned):
        say(f"shellenv: {paths.tilde(ctx, _ssh_config())} now includes the file of the docks")
    return 0


def requested(
    ctx: Context,
    host: str,
    moniker: str | None = None,
    *,
    user: str | None = None,
    port: str | None = None,
    identity: str | None = None,
) -> Dock:
    """The dock that the arguments describe.

    A known moniker in the place of HOST means that dock, with what the other arguments change.
    Raises ShellenvError for values that ssh could take for something else, and for an identity
    that is no file.
    """
    own_user, name, own_port = docks.target(host)
    base = Dock(name, name)
    if moniker is None:
        base = next((dock for dock in docks.known(ctx).docks if dock.moniker == name), base)
    if (own_user and user and own_user != user) or (
        own_port and port and own_port != docks.port_number(port)
    ):
        raise ShellenvError(f"{host} and the options differ", "say the user and the port once", 2)
    file = ""
    if identity:
        file = identity if identity.startswith("~/") else os.path.join(ctx.cwd, identity)
        if not os.path.isfile(paths.resolve(ctx, file, None) or file):
            raise ShellenvError(f"there is no identity file {identity}", "name a private key")
    if not own_user:
        own_user = base.user or ctx.env.get("DOCK_USER", "") if user is None else user
    if port is not None:
        own_port = docks.port_number(port)
    return docks.checked(
        Dock(
            base.moniker if moniker is None else moniker,
            base.host,
            own_user,
            own_port or base.port,
            file or base.identity,
            docks.own_file(ctx),
        )
    )


def _fingerprint(text: str | None) -> str:
    """The fingerprint as `ssh-keygen -l` prints it. Raises ShellenvError for anything else."""
    if text is None:
        return ""
    if not re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}=?", text):
        raise ShellenvError(
            f"{text!r} is no fingerprint",
            "at the dock: ssh-keygen -lf /etc/ssh/ssh_host_KIND_key.pub",
        )
    return text.rstrip("=")


def _checked_version(ctx: Context, dock: Dock, wanted: str, args: Sequence[str]) -> str:
    """Log in to the machine as plain `ssh MONIKER` will, and return its docker's version.

    The key of the host is settled before anything is said about the user.
    """
    client = ssh.Client.create(ctx, ssh.connect_timeout(ctx))
    _check_names(client, dock)
    with _trial(dock) as words:
        settings = client.settings(words)
        answer = None if wanted else client.ask(words, dock.moniker, settings)
        if answer is None or (answer.problem and answer.problem.kind == "unknown key"):
            hostkeys.settle(client, words, dock, settings, ["register-dock", *args], wanted)
            answer = client.ask(words, dock.moniker, settings)
    if answer.problem:
        raise answer.problem.error()
    return answer.docker


def _check_names(client: ssh.Client, dock: Dock) -> None:
    """Raise ShellenvError where a block of ours would change what the user's own names mean."""
    own = {known.moniker for known in docks.parse(docks.read_text(dock.source))}
    if dock.moniker == dock.host:
        return
    for name in dict.fromkeys((dock.moniker, dock.host)):
        meant = client.settings([name]).get("hostname", name)
        same = meant.lower() == name.lower() or meant.startswith(f"{name.lower()}.")
        if same or (name == dock.moniker and name in own):
            continue
        if name == dock.moniker:
            raise ShellenvError(
                f"your ssh configuration already has a {name} ({meant})",
                f"choose another moniker, or register that one: shellenv register-dock {name}",
            )
        raise ShellenvError(
            f"{name} is no address, but a name in your ssh configuration (for {meant})",
            f"docks keep such names: shellenv register-dock {name}",
        )


@contextmanager
def _trial(dock: Dock) -> Iterator[list[str]]:
    """Words for ssh that behave as `MONIKER` will once the dock is registered."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="shellenv-") as directory:
        with open(f"{directory}/dock", "w", encoding="utf-8") as stream:
            stream.write(docks.block(dock))
        includes = (f"{directory}/dock", _ssh_config(), "/etc/ssh/ssh_config")
        with open(f"{directory}/config", "w", encoding="utf-8") as stream:
            stream.writelines(f'Include "{path}"\n' for path in includes)
        yield ["-F", f"{directory}/config", dock.moniker]


def _registration(ctx: Context, dock: Dock) -> list[Change]:
    """What registering changes. Raises ShellenvError if ssh's file is read-only."""
    own = docks.own_file(ctx)
    text = docks.read_text(own)
    changes = [Change(own, os.fsencode(text), os.fsencode(docks.with_dock(text, dock)))]
    if _ssh_reads_our_home(ctx):
        config = _ssh_config()
        before = sshconfig.read(config)
        after = sshconfig.with_include(before, own, ssh.home())
        if before != after:
            line = sshconfig.include_line(own, ssh.home())
            hint = f"make this its first line yourself: {line}"
            sshconfig.check_writable(config, paths.tilde(ctx, config), hint)
            changes.append(Change(config, before, after))
    return changes


# --- unregister-dock ------------------------------------------------------------------------


def unregister(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv unregister-dock MONIKER`: forget a dock, by moniker or address.

    With the last of ours it offers to take the `Include` line out, too. Raises ShellenvError for a
    dock that is not known, and for `--remove-include` while others need the line.
    """
    options = parser("unregister-dock")
    options.add_argument(
        "moniker", metavar="MONIKER", nargs="?", help="what it is called, or its address"
    )
    options.add_argument(
        "--remove-include",
        action="store_true",
        help="take our line out of ~/.ssh/config once no dock is left",
    )
    chosen = options.parse_args(args)
    if chosen.moniker is None and not chosen.remove_include:
        options.error("which dock?")
    own = docks.own_file(ctx)
    with _locked(ctx):
        text = docks.read_text(own)
        after = text
        if chosen.moniker is not None:
            dock = docks.find(docks.known(ctx).docks, chosen.moniker)
            if dock.source == own:
                after = docks.without_dock(text, dock.moniker)
        left = [known.moniker for known in docks.parse(after)]
        if chosen.remove_include and left:
            raise ShellenvError(
                f"ssh would no longer know {', '.join(left[:3])}{', …' if left[3:] else ''}; "
                "nothing was changed",
                "unregister them first",
            )
        if chosen.moniker is not None:
            if dock.source == own:
                _carry_out(ctx, [Change(own, os.fsencode(text), os.fsencode(after))])
            else:
                _forget_dockerutils(dock)
            say(f"shellenv: unregistered {dock.moniker} ({dock.address})", *_docked(ctx, dock))
    if not left and (chosen.remove_include or dock.source == own):
        _offer_removal(ctx, chosen.remove_include)
    return 0


def _docked(ctx: Context, dock: Dock) -> Iterator[str]:
    """What becomes of the shells that are docked there, if there are any: a line."""
    (shells,) = connection.counts(ctx, [dock])
    if shells:
        who = "1 shell stays" if shells == 1 else f"{shells} shells stay"
        yield (
            f"shellenv: {who} docked to {dock.moniker} until castoff; "
            "a connection that is lost may not come back"
        )


def _forget_dockerutils(dock: Dock) -> None:
    """Remove what dockerutils wrote, and the directory if that was all."""
    try:
        os.unlink(dock.source)
        if not os.listdir(os.path.dirname(dock.source)):
            os.rmdir(os.path.dirname(dock.source))
    except OSError as error:
        raise ShellenvError(
            f"cannot remove {dock.source}: {error.strerror}", "check its permissions"
        ) from error


def _offer_removal(ctx: Context, told: bool) -> None:
    """Take our line out of ssh's file, if the person wants that."""
    own, config = docks.own_file(ctx), _ssh_config()
    if not _ssh_reads_our_home(ctx):
        return
    before = sshconfig.read(config)
    after = sshconfig.without_include(before, own, ssh.home())
    if before == after:
        return
    line, name = sshconfig.include_line(own, ssh.home()), paths.tilde(ctx, config)
    if not told:
        agreed = ask(f"That was the last dock. Take `{line}` out of {name}?")
        if agreed is None:
            say(
                f"shellenv: that was the last dock; `{line}` is still in {name}",
                "shellenv unregister-dock --remove-include takes it out",
            )
        if not agreed:
            return
    with _locked(ctx):
        sshconfig.check_writable(config, name, f"take this line out yourself: {line}")
        before = sshconfig.read(config)
        after = sshconfig.without_include(before, own, ssh.home())
        sshconfig.replace(config, before, after)
    say(f"shellenv: took `{line}` out of {name}")


# --- the two files --------------------------------------------------------------------------


def _ssh_config() -> str:
    return f"{ssh.home()}/.ssh/config"


def _ssh_reads_our_home(ctx: Context) -> bool:
    """Is `$HOME` the home that ssh knows? If it is not, ssh's files there are not ours to write."""
    try:
        return ctx.home is not None and os.path.samefile(ctx.home, ssh.home())
    except OSError:
        return False


def _show(ctx: Context, changes: Sequence[Change]) -> None:
    if all(change.before == change.after for change in changes):
        say("shellenv: nothing would change")
    for change in changes:
        write(sshconfig.diff(paths.tilde(ctx, change.path), change.before, change.after))


def _carry_out(ctx: Context, changes: Sequence[Change]) -> None:
    """Make all changes, or none."""
    own = docks.own_file(ctx)
    done: list[Change] = []
    try:
        for change in changes:
            if change.before != change.after:
                if change.path == own and not change.after:
                    files.forget(own)
                else:
                    sshconfig.replace(change.path, change.before, change.after)
                    if change.path == own:
                        os.chmod(own, 0o600)
                done.append(change)
    except (OSError, ShellenvError) as error:
        for change in done:
            sshconfig.replace(change.path, change.after, change.before)
        if isinstance(error, ShellenvError):
            raise
        raise ShellenvError(f"cannot write {own}: {error.strerror}", "check its permissions") from (
            error
        )


@contextmanager
def _locked(ctx: Context) -> Iterator[None]:
    """Have the files for this process alone; raises ShellenvError if another keeps them."""
    path = f"{docks.own_file(ctx)}.lock"
    directory = os.path.dirname(path)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if os.stat(directory).st_uid != ctx.uid:  # sudo that kept HOME
            raise ShellenvError(f"{directory} belongs to another user", "do this as that user")
        lock = files.lock(path, LOCK_SECONDS)
    except OSError as error:
        raise ShellenvError(
            f"cannot write {path}: {error.strerror}", "check its permissions and the free space"
        ) from error
    if lock is None:
        raise ShellenvError("another shellenv is changing the docks", "try again when it is done")
    try:
        yield
    finally:
        os.close(lock)
