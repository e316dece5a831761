"""Amazon's cloud on this machine: moto's server, with what credstash needs set up in it."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from harness import BIN, TIMEOUT, eventually
from servers import free_port

REGION = "eu-central-1"

CREDSTASH = (
    *("credstash", "boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3"),
    *("cryptography", "_cffi_backend"),
)
"""credstash and all that it imports."""


class Aws:
    """A server for all of AWS, whose secrets credstash itself has put there.

    `env` is what programs need to know to use it: credentials, region, address.
    """

    def __init__(self, base: Path) -> None:
        base.mkdir(exist_ok=True)
        port = free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{port}"
        self.env = {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",  # there is none, which takes seconds to find out
        }
        self.base = base
        self.log = (base / "aws.log").open("wb")
        self.server = subprocess.Popen(
            [BIN / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=self.log,
            stderr=self.log,
        )
        self._wait()
        self.credstash("setup")
        self._make_key()

    def _wait(self) -> None:
        eventually(lambda: self.server.poll() is not None or self._answers())
        assert self.server.poll() is None, Path(self.log.name).read_text()

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/moto-api/", timeout=TIMEOUT).close()
        except OSError:
            return False
        return True

    def _make_key(self) -> None:
        import boto3

        client = boto3.Session("testing", "testing", region_name=REGION).client(
            "kms", endpoint_url=self.url
        )
        key = client.create_key()["KeyMetadata"]["KeyId"]
        client.create_alias(AliasName="alias/credstash", TargetKeyId=key)

    def credstash(self, *words: str, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
        """What credstash's own program says."""
        done = subprocess.run(
            [BIN / "credstash", "--log-file", self.base / "credstash.log", *words],
            input=stdin,
            env={**self.env, "HOME": str(self.base), "PATH": "/usr/bin:/bin", **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done
        return done.stdout

    def put(self, key: str, value: str) -> None:
        """Store a new version of a secret: 1, 2 and so on."""
        self.credstash("put", "--autoversion", key, "-", stdin=value)

    @property
    def asked(self) -> int:
        """How many requests there were."""
        return Path(self.log.name).read_text().count('"POST / HTTP')

    def table(self) -> Any:
        """The table of secrets, to do harm to it."""
        import boto3

        session = boto3.Session("testing", "testing", region_name=REGION)
        return session.resource("dynamodb", endpoint_url=self.url).Table("credential-store")

    def has(self, key: str) -> bool:
        return key in self.credstash("keys").split()

    def stop(self) -> None:
        self.server.terminate()
        self.server.wait()
        self.log.close()


@contextmanager
def refusal(code: str) -> Iterator[str]:
    """The address of what answers every question as AWS does when it refuses."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps({"__type": f"com.amazon#{code}", "message": "You shall not."})
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
