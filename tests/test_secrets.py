"""Secrets: what is fetched, when, and what is said if it cannot be. That a value is nowhere but in
the command's environment is in test_conformance.py."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws import REGION, Aws, refusal
from dock import Images
from harness import BIN, TIMEOUT, Home, Result, require, run, write
from runs import Environment
from servers import SOURCE, User, refusing

from shellenv import handover

OLD, NEW = "first\nvalue", "second value"


@pytest.fixture
def store(aws: Aws) -> Aws:
    """A store with a secret of two versions, and one whose key has an @."""
    if not aws.has("me@shop"):
        aws.put("shop/token", OLD)
        aws.put("shop/token", NEW)
        aws.put("me@shop", "mine")
    return aws


@pytest.fixture
def shop(home: Home, store: Aws) -> Home:
    """A home whose programs know their way to the store."""
    home.env.update(store.env)
    return home


def runs(home: Home, env: str, *command: str, more: str = "") -> Result:
    """`shellenv exec` in a project with these variables."""
    root = home.project("shop", f"[shellenv.env]\n{env}\n{more}")
    return home.shellenv("exec", "--", *command, cwd=root)


def has(home: Home, env: str, name: str = "TOKEN", more: str = "") -> str:
    """What a variable is in the project's environment."""
    return runs(home, env, "sh", "-c", f'printf %s "${name}"', more=more).ok()


# --- what is fetched ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("shop/token", NEW),
        ("shop/token@1", OLD),
        ("shop/token@0000000000000000002", NEW),
        ("shop/token@", NEW),
        ("me@shop@", "mine"),
        ("me@shop@1", "mine"),
        ("$SHELLENV_PROJECT/token", NEW),
    ],
)
def test_the_newest_version_is_fetched_or_the_one_that_is_named(
    shop: Home, written: str, value: str
) -> None:
    assert has(shop, f"TOKEN = credstash:{written}") == value


def test_what_is_made_of_a_secret_has_it(shop: Home) -> None:
    env = "HOST = db\nTOKEN = credstash:shop/token\nURL = $LANG://u:$TOKEN@$HOST\nDSN = <$URL>"
    assert has(shop, env, "DSN") == f"<C.UTF-8://u:{NEW}@db>"


def test_a_file_of_variables_may_name_secrets(shop: Home) -> None:
    root = shop.project("shop", "[shellenv.dotenv]\nfiles = .env\n")
    write(root / ".env", "TOKEN=credstash:shop/token\nURL=db://${TOKEN}@h\n")
    shop.allow(root)
    found = shop.shellenv("exec", "--", "sh", "-c", "echo $TOKEN $URL", cwd=root)
    assert found.ok() == f"{NEW} db://{NEW}@h\n"


def test_each_is_fetched_once(shop: Home, store: Aws) -> None:
    before = store.asked
    env = "A = credstash:shop/token@1\nB = credstash:shop/token\nTOKEN = credstash:shop/token"
    assert has(shop, env) == NEW
    assert store.asked - before == 2 * 2  # the table and the key


def test_the_profile_and_the_region_are_those_of_the_settings(shop: Home) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        del shop.env[name]
    shop.env.update(AWS_PROFILE="no-such", AWS_REGION="us-west-1")
    keys = "aws_access_key_id = testing\naws_secret_access_key = testing\n"
    write(shop.path / ".aws" / "credentials", f"[shop]\n{keys}")
    write(shop.path / ".aws" / "config", "[profile shop]\nregion = us-west-2\n")
    env = "TOKEN = credstash:shop/token"
    more = f"[shellenv.aws]\nprofile = shop\nregion = {REGION}\n"
    assert has(shop, env, more=more) == NEW
    shop.env["SHELLENV_AWS_REGION"] = "us-west-2"
    refused = runs(shop, env, "true", more=more)
    assert "no table credential-store in us-west-2" in refused.stderr


def test_what_the_project_sets_for_aws_counts(shop: Home) -> None:
    address = shop.env.pop("AWS_ENDPOINT_URL")
    env = f"AWS_ENDPOINT_URL = {address}\nAWS_REGION = {REGION}\nTOKEN = credstash:shop/token"
    assert has(shop, env) == NEW


def test_a_command_of_a_project_without_secrets_asks_nobody(shop: Home) -> None:
    shop.env["AWS_ENDPOINT_URL"] = "nonsense"
    assert has(shop, "TOKEN = plain") == "plain"


# --- when it is not -------------------------------------------------------------------------------

SECRET = "[shellenv.env]\nSTAGE = x\nTOKEN = credstash:shop/token\nURL = db://u:$TOKEN@h\n"


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish", "json"])
def test_export_has_no_secret_and_asks_nobody(shop: Home, kind: str) -> None:
    with refusing() as nobody:
        shop.env["AWS_ENDPOINT_URL"] = f"http://{nobody}"
        root = shop.project("shop", SECRET)
        shown = shop.shellenv("export", kind, cwd=root).ok()
    assert "STAGE" in shown
    assert "TOKEN" not in shown
    assert "URL" not in shown


def test_status_says_what_is_secret_and_from_where_and_asks_nobody(shop: Home) -> None:
    with refusing() as nobody:
        shop.env["AWS_ENDPOINT_URL"] = f"http://{nobody}"
        root = shop.project("shop", SECRET)
        shown = shop.shellenv("status", cwd=root).ok()
    lines = [line for line in shown.splitlines() if "TOKEN" in line or "fetched" in line]
    assert lines == [
        "secrets   TOKEN = credstash:shop/token   (~/projects/shop/dockerutils.cfg:3)",
        "          URL   = db://u:${TOKEN}@h   (~/projects/shop/dockerutils.cfg:4)",
        "          fetched by exec and run-shell, for the command alone",
    ]


def test_print_masks_secrets_and_asks_nobody(shop: Home) -> None:
    with refusing() as nobody:
        shop.env["AWS_ENDPOINT_URL"] = f"http://{nobody}"
        root = shop.project("shop", SECRET, venv=True)
        options = ["--print", "-e", "GIVEN=credstash:x", "-e", "URL=plain"]
        done = shop.shellenv("run-shell", *options, "--", "true", cwd=root)
    words = done.stdout.split()
    assert words[-5:] == ["STAGE=x", "URL=plain", "'GIVEN=***'", "'TOKEN=***'", "true"]


def test_what_an_option_sets_is_not_fetched_and_counts_in_what_is_made_of_it(shop: Home) -> None:
    with refusing() as nobody:
        shop.env["AWS_ENDPOINT_URL"] = f"http://{nobody}"
        root = shop.project("shop", SECRET, venv=True)
        command = ["-e", "TOKEN=fake", "--", "sh", "-c", "echo $TOKEN $URL"]
        done = shop.shellenv("run-shell", *command, cwd=root)
    assert (done.status, done.stdout) == (0, "fake db://u:fake@h\n")


# --- when it cannot be had ------------------------------------------------------------------------


def problem(home: Home, env: str = "TOKEN = credstash:shop/token", more: str = "") -> list[str]:
    """What is said, a sentence and a hint, about a command that did not run."""
    done = runs(home, env, "touch", "was-run", more=more)
    root = home.projects / "shop"
    assert not (root / "was-run").exists()
    assert (done.status, done.stdout) == (1, "")
    said, hint = done.stderr.splitlines()
    begin = f"shellenv: TOKEN ({root}/dockerutils.cfg:2): "
    assert said.startswith(begin), done
    return [said.removeprefix(begin), hint]


@pytest.mark.parametrize(
    ("written", "said", "hint"),
    [
        (
            "no/such",
            "there is no secret no/such",
            f"it is not in table credential-store in {REGION}: credstash list shows what is",
        ),
        (
            "shop/token@7",
            "there is no secret shop/token of version 7",
            f"it is not in table credential-store in {REGION}: credstash list shows what is",
        ),
        (
            "me@shop",
            "'shop' is no version",
            "versions are numbers; a key that has an @ ends in one more: credstash:me@shop@",
        ),
        ("", "it names no key", "write credstash:KEY or credstash:KEY@VERSION"),
        ("@2", "it names no key", "write credstash:KEY or credstash:KEY@VERSION"),
    ],
)
def test_a_secret_that_is_not_there_is_said(shop: Home, written: str, said: str, hint: str) -> None:
    assert problem(shop, f"TOKEN = credstash:{written}") == [said, hint]


def test_a_table_that_is_not_there_is_said(shop: Home) -> None:
    shop.env["CREDSTASH_DEFAULT_TABLE"] = "other"
    said, hint = problem(shop)
    assert said == f"there is no table other in {REGION}"
    assert "credstash setup" in hint


def test_missing_credentials_are_said(shop: Home) -> None:
    del shop.env["AWS_ACCESS_KEY_ID"]
    said, hint = problem(shop)
    assert said == "Unable to locate credentials"
    assert "[shellenv.aws] profile" in hint


def test_a_missing_region_is_said(shop: Home) -> None:
    del shop.env["AWS_DEFAULT_REGION"]
    said, hint = problem(shop)
    assert said == "You must specify a region."
    assert "[shellenv.aws] region" in hint


def test_an_unknown_profile_is_said(shop: Home) -> None:
    said, hint = problem(shop, more="[shellenv.aws]\nprofile = nobody\n")
    assert "nobody" in said
    assert "aws configure list-profiles" in hint


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("UnrecognizedClientException", "log in again"),
        ("ExpiredTokenException", "log in again"),
        ("AccessDeniedException", "kms:Decrypt"),
        ("Whatever", "aws sts get-caller-identity"),
    ],
)
def test_what_aws_says_when_it_refuses_is_said(shop: Home, code: str, advice: str) -> None:
    with refusal(code) as address:
        shop.env["AWS_ENDPOINT_URL"] = address
        said, hint = problem(shop)
    assert said == f"You shall not. ({code})"
    assert advice in hint


def test_a_store_that_cannot_be_reached_is_said(shop: Home) -> None:
    with refusing() as nobody:
        shop.env["AWS_ENDPOINT_URL"] = f"http://{nobody}"
        said, hint = problem(shop)
    assert nobody in said
    assert "network" in hint


def test_an_address_that_is_none_is_said(shop: Home) -> None:
    shop.env["AWS_ENDPOINT_URL"] = "nonsense"
    said, hint = problem(shop)
    assert "nonsense" in said
    assert "AWS_ENDPOINT_URL" in hint


def test_without_credstash_it_says_what_to_install(shop: Home) -> None:
    root = shop.project("shop", SECRET)
    code = (
        "import sys; sys.modules['credstash'] = None; from shellenv.cli import program; program()"
    )
    done = run([BIN / "python", "-c", code, "exec", "--", "echo", "was run"], shop.env, root)
    assert (done.status, done.stdout) == (1, "")
    said, hint = done.stderr.splitlines()
    assert "credstash is not installed" in said
    assert "shellenv[aws]" in hint


@pytest.mark.parametrize(
    ("field", "value"), [("contents", "AAAA"), ("contents", "?"), ("key", None), ("hmac", "x")]
)
def test_a_secret_that_was_changed_in_the_table_is_refused(
    shop: Home, store: Aws, field: str, value: str | None
) -> None:
    key = f"changed/{field}/{value}"
    store.put(key, "sesame")
    table = store.table()
    item = table.get_item(Key={"name": key, "version": "0" * 18 + "1"})["Item"]
    changed = {**item, field: value} if value else {k: v for k, v in item.items() if k != field}
    table.put_item(Item=changed)
    said, hint = problem(shop, f"TOKEN = credstash:{key}")
    assert said == f"what is stored as {key} cannot be decrypted"
    assert "credstash put" in hint


def test_what_no_variable_can_hold_is_refused(shop: Home, store: Aws) -> None:
    store.put("nul", "a\0b")
    store.put("large", "x" * (128 * 1024 - len("TOKEN=")))
    store.put("largest", "x" * (128 * 1024 - len("TOKEN=") - 1))
    assert problem(shop, "TOKEN = credstash:nul")[0] == "it contains a NUL byte"
    assert problem(shop, "TOKEN = credstash:large")[0] == "it is too large for a variable"
    assert len(has(shop, "TOKEN = credstash:largest")) == 128 * 1024 - 7


# --- how it is handed into a container ------------------------------------------------------------

ENTER = SOURCE / "shell" / "enter.sh"
VALUES = {"TOKEN": 'it\'s\n"two" $HOME\n\n', "B": "".join(map(chr, range(1, 600)))}


@pytest.fixture(params=["dash", "bash", "busybox"])
def sh(request: pytest.FixtureRequest) -> list[str]:
    """A shell that images have as sh."""
    require(request.param)
    return {"bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}.get(request.param, ["dash"])


def enters(
    sh: list[str], pipe: Path, sent: bytes | None, *command: str, path: str = ""
) -> tuple[int, bytes, str]:
    """enter.sh as a container starts it, and what comes through the pipe."""
    env = {"PATH": f"{path}/usr/bin:/bin", "SHELLENV_PIPE": str(pipe), "status": "mine"}
    argv = [*sh, str(ENTER), *command]
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        if sent is not None:
            os.mkfifo(pipe)
            pipe.write_bytes(sent)
        try:
            stdout, stderr = child.communicate(timeout=TIMEOUT)
        finally:
            child.kill()
    return child.returncode, stdout, stderr.decode()


def test_a_shell_that_waits_for_secrets_has_them_to_the_last_byte(
    sh: list[str], tmp_path: Path
) -> None:
    found = enters(sh, tmp_path / "pipe", handover.code(VALUES), "env", "-0")
    env = dict(word.split("=", 1) for word in found[1].decode().split("\0") if "=" in word)
    assert {name: env[name] for name in VALUES} == VALUES
    assert env["status"] == "mine"
    assert [name for name in env if name.startswith("SHELLENV")] == []
    assert (found[0], found[2]) == (0, "")


def test_secrets_of_which_a_part_is_missing_run_nothing(sh: list[str], tmp_path: Path) -> None:
    for number, length in enumerate((0, 10, len(handover.code(VALUES)) - 1)):
        sent = handover.code(VALUES)[:length]
        found = enters(sh, tmp_path / f"pipe{number}", sent, "echo", "was run")
        assert found[:2] == (1, b"")
        said = "shellenv: the secrets of this run did not arrive; the command was not run\n"
        assert found[2] == said


def test_secrets_that_nobody_brings_run_nothing(sh: list[str], tmp_path: Path) -> None:
    write(tmp_path / "bin" / "sleep", "#!/bin/sh\n").chmod(0o755)  # a minute passes at once
    found = enters(sh, tmp_path / "pipe", None, "echo", "was run", path=f"{tmp_path}/bin:")
    assert found[:2] == (1, b"")
    assert "did not arrive" in found[2]


@pytest.fixture
def container(user: User, images: Images, store: Aws, _credstash: None) -> Iterator[Environment]:
    """A project with a secret, in a container."""
    environment = Environment("docker", user, images)
    environment.env.update(store.env)
    yield environment
    environment.remove()


@pytest.mark.needs("setpriv", "docker")
def test_an_image_in_which_nothing_can_be_handed_over_runs_nothing(container: Environment) -> None:
    config = container.home / ".config" / "shellenv" / "projects" / "api.cfg"
    write(config, f'{SECRET}[shellenv.run]\nsetup = rm "$(command -v mkfifo)"\n')
    container.user.own(container.home / ".config")
    with container.start("touch", "was-run") as child:
        _, stderr = child.communicate(timeout=TIMEOUT)
    assert child.returncode == 1
    said, hint = stderr.decode().splitlines()[-2:]
    assert said.startswith("shellenv: the secrets could not be handed over")
    assert "mkfifo" in said
    assert "mkfifo" in hint
    assert not (container.root / "was-run").exists()
    assert container.containers() == []
