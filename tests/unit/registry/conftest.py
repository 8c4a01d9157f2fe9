"""Shared by the tests of registries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from registry_server import Site, encoder_bytes

from llmbin_core.registry import download


@pytest.fixture
def serve() -> Iterator[Callable[[], Site]]:
    """Makes servers; they end with the test."""
    servers = []

    def make() -> Site:
        site = Site()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        site.address = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return site

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def site(serve: Callable[[], Site]) -> Site:
    return serve()


@pytest.fixture(autouse=True)
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models of the test's own, no proxy, no waiting between attempts."""
    names = ("LLMBIN_REGISTRIES", "LLMBIN_MIRROR", "LLMBIN_OFFLINE", "http_proxy", "https_proxy",
             "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")  # fmt: skip
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "wait", lambda attempt: None)
    monkeypatch.setenv("LLMBIN_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def weights() -> bytes:
    return encoder_bytes()


@pytest.fixture
def encoder(tmp_path: Path, weights: bytes) -> Path:
    path = tmp_path / "soil.safetensors"
    path.write_bytes(weights)
    return path
