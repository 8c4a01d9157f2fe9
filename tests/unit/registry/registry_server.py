"""A web server that misbehaves as told, and models to serve."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import pytest
import torch
from llmbin_tools.models import main
from safetensors.torch import save


@dataclass
class Site:
    """What the server has and does, and what it was asked."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)  # answered first, one by one
    cut_after: int | None = None  # bytes of each answer
    knows_ranges: bool = True
    tells_length: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path, Range

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path, span = request.path, request.headers.get("Range")
        self.asked.append((path, span))
        if self.statuses.get(path):
            request.send_error(self.statuses[path].pop(0))
        elif path in self.redirects:
            request.send_response(302)
            request.send_header("Location", self.redirects[path])
            request.end_headers()
        elif path not in self.files:
            request.send_error(404)
        else:
            self._send(request, self.files[path], span)

    def _send(self, request: BaseHTTPRequestHandler, content: bytes, span: str | None) -> None:
        begin = int(span.removeprefix("bytes=").rstrip("-")) if span and self.knows_ranges else 0
        if begin and begin >= len(content):
            request.send_error(416)
            return
        request.send_response(206 if begin else 200)
        if begin:
            last = len(content) - 1
            request.send_header("Content-Range", f"bytes {begin}-{last}/{len(content)}")
        if self.tells_length:
            request.send_header("Content-Length", str(len(content) - begin))
        request.end_headers()
        request.wfile.write(content[begin:][: self.cut_after])


def encoder_bytes(seed: int = 0, values: int = 50_000) -> bytes:
    """A file of the form that llmbin-train writes."""
    weights = torch.randn(values, generator=torch.Generator().manual_seed(seed))
    card = json.dumps({"schema": "encoder", "schema_version": 1})
    return save({"w": weights}, metadata={"llmbin": card})


def row(name: str, content: bytes, url: str | None, **changes: object) -> dict[str, object]:
    """An entry of a registry."""
    return {
        "name": name, "kind": "encoder", "habitat": "soil", "licence": "MIT", "card": "README.md",
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content),
        "url": url, **changes,
    }  # fmt: skip


def listing(*rows: dict[str, object]) -> bytes:
    """A registry."""
    return json.dumps({"format": "llmbin-registry", "version": 1, "models": rows}).encode()


def said(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    """What llmbin-models writes: on standard output, or as an error."""
    assert main(argv) == code
    out, err = capsys.readouterr()
    return err if code else out
