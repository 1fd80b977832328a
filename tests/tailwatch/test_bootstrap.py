"""Making the environment: which interpreter, which wheel, and what is refused."""

import hashlib
import importlib.util
import io
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bootstrap.py"
PROGRAM = b"#!/bin/sh\n"


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a lock and a tools folder of its own."""
    spec = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # no cache beside the script
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "REPOSITORY", tmp_path)
    monkeypatch.setattr(module, "UV_LOCK", tmp_path / "uv.txt")
    monkeypatch.setattr(module.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(module.sys, "platform", "linux")
    return module


@pytest.fixture(params=["application/vnd.pypi.simple.v1+json", "text/html"])
def index(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bytes]:
    """An index with uv 1.0 in both of the forms that indexes have; yields the wheel."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("uv-1.0.data/scripts/uv", PROGRAM)
    name = "uv-1.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    page = (
        json.dumps({"files": [{"url": "/files/uv-1.0.tar.gz"}, {"url": f"/files/{name}"}]})
        if "json" in request.param
        else f'<a href="/files/uv-1.0.tar.gz">a</a><a href="/files/{name}#sha256=0">b</a>'
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", request.param)
            self.end_headers()
            self.wfile.write(packed.getvalue() if "files" in self.path else page.encode())

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}/simple")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield packed.getvalue()
        server.shutdown()
        thread.join()


def test_uv_is_unpacked_once_its_hash_is_a_locked_one(bootstrap: ModuleType, index: bytes) -> None:
    bootstrap.UV_LOCK.write_text(
        f"uv==1.0 \\\n  --hash=sha256:{hashlib.sha256(index).hexdigest()}\n"
    )
    program = bootstrap.fetched_uv()
    assert program.read_bytes() == PROGRAM
    assert program.stat().st_mode & 0o111


def test_a_wheel_with_another_hash_is_refused(bootstrap: ModuleType, index: bytes) -> None:
    bootstrap.UV_LOCK.write_text(f"uv==1.0 \\\n  --hash=sha256:{'0' * 64}\n")
    with pytest.raises(bootstrap.BootstrapError, match="does not have a hash of"):
        bootstrap.fetched_uv()
    assert not list(bootstrap.REPOSITORY.glob(".tailwatch/tools/uv*"))


def test_an_unreachable_index_is_named_with_the_next_step(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://user:secret@127.0.0.1:9/simple")
    bootstrap.UV_LOCK.write_text("uv==1.0 \\\n  --hash=sha256:0\n")
    with pytest.raises(bootstrap.BootstrapError, match="PIP_INDEX_URL") as caught:
        bootstrap.fetched_uv()
    assert "secret" not in str(caught.value)


def test_without_a_suitable_python_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "python3").write_text("#!/bin/sh\necho 3.9 is too old >&2; exit 1\n")
    (tmp_path / "python3").chmod(0o755)
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    done = subprocess.run(
        ["/bin/sh", str(SCRIPT.with_suffix(".sh"))],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no Python 3.11 or later was found" in done.stderr
