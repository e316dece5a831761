"""Secrets: what `credstash:KEY[@VERSION]` stands for, fetched when a command runs and for it alone.

A value goes from the store through the memory of this process into that of the command, and
nowhere else. What is made of a secret (`db://shop:$PASSWORD@host`) is one, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from shellenv.config import Config
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.plan import SECRET, Variable, expand, is_secret
from shellenv.survey import Survey

TABLE = "CREDSTASH_DEFAULT_TABLE"
"""The variable by which credstash's own program is told of another table."""

LARGEST = 128 * 1024
"""What a variable may take, its name and the NUL at its end included (Linux: MAX_ARG_STRLEN)."""

LOG_IN = "log in again (aws sso login, aws configure), or choose [shellenv.aws] profile"
RIGHTS = "you need dynamodb:Query and dynamodb:GetItem on its table, and kms:Decrypt on its key"
NETWORK = "is the network there, and the region the right one ([shellenv.aws] region)?"

HINTS = {
    "ProfileNotFound": "aws configure list-profiles shows them; see [shellenv.aws] profile",
    "NoRegionError": "set [shellenv.aws] region, or AWS_REGION",
    "NoCredentialsError": "aws configure, aws sso login, or [shellenv.aws] profile",
    "CredentialRetrievalError": LOG_IN,
    "SSOError": LOG_IN,
    "TokenRetrievalError": LOG_IN,
    "ConnectionError": NETWORK,
    "HTTPClientError": NETWORK,
    "AccessDeniedException": RIGHTS,
    "ExpiredTokenException": LOG_IN,
    "InvalidSignatureException": LOG_IN,
    "UnrecognizedClientException": LOG_IN,
    "ValueError": "check AWS_ENDPOINT_URL and its like",
    "KmsError": "was it stored with an encryption context, or with a key that you may not use?",
}
"""What to do, by the name of botocore's or credstash's exception, or by AWS's code."""


class Secrets(NamedTuple):
    """Variables that are secret, each behind those that it uses, and what was fetched for them."""

    variables: tuple[Variable, ...] = ()
    fetched: Mapping[str, str] = {}

    def values(self, env: Mapping[str, str]) -> dict[str, str]:
        """All of them as they are in `env`. Raises ShellenvError for one that no program can be
        given."""
        known = dict(env)
        for variable in self.variables:
            name = variable.name
            value = self.fetched[name] if is_secret(variable) else expand(variable.value, known)
            if "\0" in value:
                raise _refused(variable, "it contains a NUL byte", "a variable cannot")
            if len(os.fsencode(f"{name}={value}")) >= LARGEST:
                raise _refused(variable, "it is too large for a variable", "128 KiB is the limit")
            known[name] = value
        return {variable.name: known[variable.name] for variable in self.variables}


def fetch(ctx: Context, found: Survey, wanted: tuple[Variable, ...]) -> Secrets:
    """The secrets `wanted`, with one session for all that are in the store.

    Credentials, and what `[shellenv.aws]` does not say, are found as other programs find them in
    the project's environment. Raises ShellenvError if one cannot be had; asks nobody if nothing is
    to be fetched.
    """
    stored = [variable for variable in wanted if is_secret(variable)]
    if not stored:
        return Secrets(wanted)
    env = dict(ctx.env)
    for variable in found.plan.variables if found.plan else ():
        env[variable.name] = expand(variable.value, env)
    references = [(variable, *_reference(variable, env)) for variable in stored]
    with _surroundings(env):
        store = _Store(found.config, env, stored[0])
        return Secrets(wanted, {v.name: store.get(v, key, at) for v, key, at in references})


def _reference(variable: Variable, env: Mapping[str, str]) -> tuple[str, str]:
    """The key and the version, "" for the newest. A key that has an `@` itself ends in one more."""
    text = expand(variable.value, env).removeprefix(SECRET)
    key, separator, version = text.rpartition("@")
    if not separator:
        key, version = version, ""
    if not key:
        raise _refused(variable, "it names no key", f"write {SECRET}KEY or {SECRET}KEY@VERSION")
    if version and not (version.isascii() and version.isdecimal()):
        hint = f"versions are numbers; a key that has an @ ends in one more: {SECRET}{text}@"
        raise _refused(variable, f"{version!r} is no version", hint)
    return key, version


@contextmanager
def _surroundings(env: Mapping[str, str]) -> Iterator[None]:
    """The process's environment is `env` meanwhile, for there is nothing else that boto3 reads;
    what it says of old Pythons is nothing to the user."""
    import warnings

    before = dict(os.environ)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _become(env)
            yield
        finally:
            _become(before)


def _become(env: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(env)


class _Store:
    """A table of credstash's."""

    def __init__(self, config: Config, env: Mapping[str, str], first: Variable) -> None:
        self.table = env.get(TABLE) or "credential-store"
        self.known: dict[tuple[str, str], str] = {}
        self.credstash = _library(first)
        import boto3
        from botocore.config import Config as Options

        patience = Options(connect_timeout=5, read_timeout=10, retries={"mode": "standard"})
        with self._in_our_words(first, ""):
            session = boto3.Session(
                profile_name=_setting(config, "profile") or None,
                region_name=_setting(config, "region") or env.get("AWS_REGION") or None,
            )
            self.dynamodb = session.resource("dynamodb", config=patience)
            self.kms = session.client("kms", config=patience)

    def get(self, variable: Variable, key: str, version: str) -> str:
        """The value that `variable` asks for; each is fetched once."""
        if (key, version) not in self.known:
            with self._in_our_words(variable, f"{key} of version {version}" if version else key):
                self.known[key, version] = self.credstash.getSecret(
                    key, version, table=self.table, dynamodb=self.dynamodb, kms=self.kms
                )
        return self.known[key, version]

    @contextmanager
    def _in_our_words(self, variable: Variable, wanted: str) -> Iterator[None]:
        """Whatever goes wrong in here is a ShellenvError. `wanted` is a secret in words."""
        try:
            yield
        except Exception as error:
            raise _refused(variable, *self._explained(error, wanted)) from error

    def _explained(self, error: Exception, wanted: str) -> tuple[str, str]:
        """What is wrong, and what to do."""
        names = [kind.__name__ for kind in type(error).__mro__]
        if "ItemNotFound" in names:
            hint = f"it is not in {self._place()}: credstash list shows what is"
            return f"there is no secret {wanted}", hint
        if "ClientError" in names:
            said: dict[str, str] = error.response["Error"]  # type: ignore[attr-defined]
            if said["Code"] == "ResourceNotFoundException":
                return (
                    f"there is no {self._place()}",
                    f"credstash setup makes it; see {TABLE}",
                )
            return f"{said.get('Message') or 'AWS refuses'} ({said['Code']})", _hint(said["Code"])
        if not wanted or any(name in ("BotoCoreError", "KmsError") for name in names):
            return str(error), _hint(*names)
        # Without the error's own words, which might be of the value
        return f"what is stored as {wanted} cannot be decrypted", "put it there anew: credstash put"

    def _place(self) -> str:
        return f"table {self.table} in {self.kms.meta.region_name}"


def _library(first: Variable) -> Any:
    try:
        import credstash
    except ImportError as error:
        hint = "install 'shellenv[aws]' as you have installed shellenv: with pipx, uv tool or pip"
        raise _refused(first, f"credstash is not installed ({error})", hint) from error
    return credstash


def _setting(config: Config, key: str) -> str:
    entry = config.get("shellenv.aws", key)
    return entry.value if entry else ""


def _hint(*names: str) -> str:
    other = "aws sts get-caller-identity tells who you are there"
    return next((HINTS[name] for name in names if name in HINTS), other)


def _refused(variable: Variable, problem: str, hint: str) -> ShellenvError:
    return ShellenvError(f"{variable.name} ({variable.origin}): {problem}", hint)
