#!/usr/bin/python3
"""old_api.py SOCKET VERSION: answers as a Docker Engine would whose newest API is VERSION."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

SOCKET, VERSION = sys.argv[1:]


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "client"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path.endswith("/_ping"):
            status, body = 200, b"OK"
        elif self.path.endswith("/version"):
            about = {"Version": "1.9.1", "ApiVersion": VERSION, "Os": "linux", "Arch": "amd64"}
            status, body = 200, json.dumps(about).encode()
        else:
            message = f"client is newer than server (server API version: {VERSION})"
            status, body = 400, json.dumps({"message": message}).encode()
        self.send_response(status)
        self.send_header("Api-Version", VERSION)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


server = Server(SOCKET, Handler)
os.chmod(SOCKET, 0o666)
Path("/run/old_api.pid").write_text(str(os.getpid()))
server.serve_forever()
