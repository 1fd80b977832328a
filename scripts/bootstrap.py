"""Make .venv from the locked requirements with uv, which is fetched and verified first.

Standard library only: it runs before anything is installed, also where Debian's python3 comes
without pip and venv. The index is UV_DEFAULT_INDEX, else PIP_INDEX_URL, else pypi.org.
"""

# ruff: noqa: INP001 (a script, not a module of a package)

import base64
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
VENV = REPOSITORY / ".venv"
LOCK = REPOSITORY / "requirements" / "dev.txt"
UV_LOCK = REPOSITORY / "requirements" / "uv.txt"
STAMP = VENV / "made-from"
JSON_INDEX = "application/vnd.pypi.simple.v1+json"  # PEP 691
LINKS = "application/vnd.pypi.simple.v1+html;q=0.5, text/html;q=0.2"


class BootstrapError(Exception):
    """The environment could not be made."""


def main() -> int:
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted and works():
        return 0
    print("making .venv, about a minute", file=sys.stderr)  # noqa: T201
    try:
        make(wanted)
    except BootstrapError as error:
        print(f"bootstrap: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def fingerprint() -> str:
    """Changes when the environment must be made anew."""
    state = hashlib.sha256(sys.executable.encode())
    compiled = REPOSITORY / "runners" / "load" / "_reads.c"
    for path in (LOCK, UV_LOCK, REPOSITORY / "pyproject.toml", compiled, Path(__file__)):
        state.update(path.read_bytes())
    return state.hexdigest()


def works() -> bool:
    """Whether its interpreter is still there and knows the project."""
    probe = [str(VENV / "bin" / "python"), "-c", "import tailwatch.home"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make(stamp: str) -> None:
    shutil.rmtree(VENV, ignore_errors=True)
    uv = str(fetched_uv())
    python = str(VENV / "bin" / "python")
    run(uv, "venv", "--quiet", "--python", sys.executable, str(VENV))
    locked = ("--require-hashes", "--compile-bytecode", str(LOCK))
    run(uv, "pip", "sync", "--quiet", "--python", python, *locked)
    # setuptools is locked too, so nothing outside the lock is fetched to build.
    editable = ("--no-deps", "--no-build-isolation", "--editable", str(REPOSITORY))
    run(uv, "pip", "install", "--quiet", "--python", python, *editable)
    STAMP.write_text(stamp)


def run(*command: str) -> None:
    settings = {"UV_PYTHON_DOWNLOADS": "never", "UV_DEFAULT_INDEX": index()}
    # A machine behind a proxy trusts certificates that uv does not bring along.
    settings["UV_SYSTEM_CERTS"] = "true"
    if extra := os.environ.get("PIP_EXTRA_INDEX_URL"):
        settings["UV_INDEX"] = extra
    if certificates := os.environ.get("PIP_CERT"):
        settings["SSL_CERT_FILE"] = certificates
    # What the caller says to uv itself comes first.
    done = subprocess.run(command, env={**settings, **os.environ}, check=False)
    if done.returncode:
        raise BootstrapError(f"{' '.join(command[:3])} failed; what it said stands above")


def index() -> str:
    named = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL")
    return (named or "https://pypi.org/simple").rstrip("/")


def fetched_uv() -> Path:
    """The locked uv, unpacked from its wheel once the hash is right."""
    text = UV_LOCK.read_text()
    version = re.search(r"^uv==(\S+)", text, re.MULTILINE)
    if version is None:
        raise BootstrapError(f"{UV_LOCK} names no version of uv")
    program = REPOSITORY / ".tailwatch" / "tools" / f"uv-{version[1]}"
    if not program.exists():
        hashes = set(re.findall(r"sha256:([0-9a-f]{64})", text))
        program.parent.mkdir(parents=True, exist_ok=True)
        half = program.with_suffix(".half")
        half.write_bytes(unpacked(wheel(version[1], hashes), version[1]))
        half.chmod(0o755)
        half.rename(program)
    return program


def wheel(version: str, hashes: set[str]) -> bytes:
    """The wheel of this platform; raises BootstrapError unless its hash is a locked one."""
    page = f"{index()}/uv/"
    for address in addresses(page, *download(page, f"{JSON_INDEX}, {LINKS}")):
        name = urllib.parse.unquote(urllib.parse.urlsplit(address).path.rpartition("/")[2])
        if name.startswith(f"uv-{version}-") and platform_tag() in name:
            content, _ = download(address)
            if hashlib.sha256(content).hexdigest() not in hashes:
                raise BootstrapError(f"{name} of the index does not have a hash of {UV_LOCK}")
            return content
    raise BootstrapError(f"the index has no wheel of uv {version} for {platform_tag()}")


def platform_tag() -> str:
    """The part of the wheel's name that stands for this machine."""
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return "macosx_11_0_arm64" if machine == "arm64" else "macosx_10_12_x86_64"
    return f"manylinux_2_17_{machine}"


def addresses(page: str, content: bytes, kind: str) -> list[str]:
    """Absolute addresses of the files on an index page, JSON (PEP 691) or HTML (PEP 503)."""
    if "json" in kind:
        found = [one["url"] for one in json.loads(content)["files"]]
    else:
        found = re.findall(r'href="([^"#]+)', content.decode())
    return [urllib.parse.urljoin(page, address) for address in found]


def download(address: str, accept: str = "*/*") -> tuple[bytes, str]:
    """Content and its type. A user and password in the address are sent as the header they mean."""
    parts = urllib.parse.urlsplit(address)
    headers = {"Accept": accept}
    if parts.username:
        user = (
            f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        )
        headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
        address = urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    try:
        with urllib.request.urlopen(
            urllib.request.Request(address, headers=headers), timeout=120
        ) as answer:
            return answer.read(), answer.headers.get("Content-Type", "")
    except (OSError, urllib.error.URLError) as error:
        host = parts.hostname or address
        raise BootstrapError(
            f"cannot fetch uv from {host} ({error}); name a reachable index with PIP_INDEX_URL"
        ) from error


def unpacked(content: bytes, version: str) -> bytes:
    """The program inside the wheel."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(f"uv-{version}.data/scripts/uv")


if __name__ == "__main__":
    sys.exit(main())
