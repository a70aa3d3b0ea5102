"""The stand-in as a running program, and its test routes.

Stripe's own API is left to Stripe's own SDK (`wire.py`); here is only what the stand-in has beside it.
"""

import json
import os
import pathlib
import subprocess
import urllib.error
import urllib.request

import pytest

WORKSPACE = pathlib.Path(__file__).resolve().parents[3]


def built(package, binary, *features):
    """Where a binary is: built now, or in the directory `BINARIES` where somebody has built it."""
    directory = os.environ.get("BINARIES")
    if directory:
        return WORKSPACE / directory / binary
    command = ["cargo", "build", "--quiet", "--package", package, "--bin", binary, "--message-format=json", *features]
    build = subprocess.run(command, cwd=WORKSPACE, stdout=subprocess.PIPE, text=True)
    if build.returncode:
        pytest.exit(f"{binary} could not be built", returncode=1)
    artifacts = (json.loads(line) for line in build.stdout.splitlines())
    found = [artifact["executable"] for artifact in artifacts if artifact.get("executable")]
    return pathlib.Path(found[-1])


class Program:
    """A program that says `ready ADDRESS` when it is; ended by `end`."""

    def __init__(self, binary, *arguments):
        self.process = subprocess.Popen(
            [binary, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for line in self.process.stdout:
            if line.startswith("ready "):
                self.url = line.split()[1]
                return
        raise RuntimeError(f"{binary} ended before it was ready")

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, method, path, body=None, headers=None):
        """Sends JSON (or bytes as they are); answers status and JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.loads(refusal.read() or b"null")

    def test(self, method, path, body=None):
        """A test route that does what it is asked."""
        status, answer = self.ask(method, f"/_test{path}", body)
        assert status == 200, answer
        return answer
