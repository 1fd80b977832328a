"""The engine's process: healthy on entry, gone on exit."""

import contextlib
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx

from runners import keeper as keeper_program
from runners.engines.adapter import PROBE_PROMPT, Adapter
from runners.errors import EngineDied, EngineHung, EngineNotReady, ForeignServer, PortBusy
from runners.keeper import TERM_GRACE_S

POLL_S = 0.1
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "LD_LIBRARY_PATH", "CUDA_HOME")
PASSED_ON_PREFIXES = ("CUDA_", "NVIDIA_", "NCCL_", "NVSHMEM_", "TORCH_", "HF_HOME")
MARK = "TAILWATCH_DEVICE"
"""Variable that every engine process carries: how leftovers of a dead host process are found."""

PORTS = range(20_000, 32_768)
"""Below those that Linux gives to outgoing connections. SGLang 0.5.12 adds 10,000 to its port for
one that it does not use, and ends when that is no port."""


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on now, one of `PORTS`.

    Raises PortBusy when none of a hundred of them is free.
    """
    for port in random.sample(PORTS, 100):
        with contextlib.suppress(PortBusy):
            require_free(port)
            return port
    raise PortBusy(
        f"a hundred ports from {PORTS[0]} to {PORTS[-1]} are in use: end what listens there"
    )


def require_free(port: int) -> None:
    """Raise PortBusy when something listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortBusy(
                f"port {port} is in use: end what listens there, or name another with --port"
            ) from error


def engine_environment(extra: Mapping[str, str], device: str) -> dict[str, str]:
    """Only what an engine needs of the host's variables: no secrets reach it or its document."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
    }
    return kept | dict(extra) | {MARK: device}


ANSWERED = re.compile(r'"(GET|POST) \S+ HTTP/\S+" 200\b')
"""A line of an engine's log for each request: they would push out whatever it has to say."""
READ_BACK_BYTES = 4 * 2**20
"""Of a log's end: some 40,000 requests."""


def last_lines(log: Path, lines: int) -> str:
    """The end of a log without the requests that went well; empty when there is none yet."""
    if not log.is_file():
        return ""
    with log.open("rb") as opened:
        opened.seek(max(0, log.stat().st_size - READ_BACK_BYTES))
        text = opened.read().decode(errors="replace").replace("\x00", "")
    told = [line for line in text.splitlines() if not ANSWERED.search(line)]
    return "\n".join(told[-lines:])


class Server:
    """A running engine as its launch sees it."""

    def __init__(self, keeper: "subprocess.Popen[bytes]", log: Path, port: int) -> None:
        self.keeper = keeper
        self.log = log
        self.url = f"http://127.0.0.1:{port}"
        # Without TLS there is nothing to verify, and loading certificates costs 0.1 s a client.
        self.http = httpx.Client(base_url=self.url, trust_env=False, verify=False)

    def require_alive(self) -> None:
        """Raise EngineDied, with the last lines of its log, when the engine has ended."""
        code = self.keeper.poll()
        if code is not None:
            raise EngineDied(f"exit code {code}; last lines of its log:\n{self.tail(15)}")

    def tail(self, lines: int) -> str:
        """The last lines of the engine's log."""
        return last_lines(self.log, lines)

    def page(self, path: str, timeout_s: float = 10.0) -> httpx.Response:
        """GET one page of the engine; raises EngineDied or EngineHung instead of waiting on."""
        try:
            return self.http.get(path, timeout=timeout_s)
        except httpx.HTTPError as error:
            self.require_alive_after(error)
            raise EngineHung(f"{path} did not answer in {timeout_s:.0f} s: {error}") from error

    def require_alive_after(self, error: httpx.HTTPError) -> None:
        """As require_alive, when a call failed just now: an engine that closed its connections may
        be dead while its keeper still clears up behind it."""
        if not isinstance(error, httpx.TimeoutException):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.keeper.wait(TERM_GRACE_S + 1.5)
        self.require_alive()


@contextlib.contextmanager
def asked_meanwhile(server: Server, path: str) -> Iterator["Future[dict[str, object]]"]:
    """Ask for a JSON page beside what the body does: the first /server_info takes vLLM 2 s.

    An empty answer where this version of the engine has no such page.
    """

    def ask() -> dict[str, object]:
        try:
            told = server.page(path, timeout_s=60.0).json()
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}

    pool = ThreadPoolExecutor(1)
    try:
        yield pool.submit(ask)
    finally:
        pool.shutdown(wait=False)  # it ends with the engine, which is stopped next


@contextlib.contextmanager
def running(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    log: Path,
    port: int,
    held: Sequence[int] = (),
) -> Iterator[Server]:
    """Start the engine under a keeper; nothing of it is left on exit, however the exit comes.

    `held` are file descriptors (device locks) that stay open until the engine is really gone.
    """
    require_free(port)
    log.parent.mkdir(parents=True, exist_ok=True)
    keeper = subprocess.Popen(
        [sys.executable, "-I", keeper_program.__file__, str(log), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(environment),
        process_group=0,
        pass_fds=held,
    )
    server = Server(keeper, log, port)
    try:
        yield server
    finally:
        server.http.close()
        if keeper.stdin is not None:
            keeper.stdin.close()
        keeper.wait()


def wait_until_ready(
    server: Server, adapter: Adapter, *, served_name: str, within_s: float
) -> None:
    """Return when the engine is healthy, is ours and has generated one token.

    Raises EngineDied, EngineNotReady, or ForeignServer when a healthy server answers that does
    not serve our name: a leftover of another launch would be measured in its place.
    """
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        server.require_alive()
        if _healthy(server, adapter):
            _require_ours(server, served_name)
            _one_token(server, served_name, timeout_s=max(1.0, deadline - time.monotonic()))
            return
        time.sleep(POLL_S)
    raise EngineNotReady(
        f"not healthy after {within_s:.0f} s; last lines of its log:\n{server.tail(15)}"
    )


def _healthy(server: Server, adapter: Adapter) -> bool:
    for path in adapter.health_paths:
        try:
            status = server.http.get(path, timeout=5.0).status_code
        except httpx.HTTPError:
            return False
        if status != httpx.codes.NOT_FOUND:
            return status == httpx.codes.OK
    return False


def _require_ours(server: Server, served_name: str) -> None:
    answer = server.page("/v1/models")
    try:
        names = [model["id"] for model in answer.json()["data"]]
    except (ValueError, KeyError, TypeError):
        names = []
    if served_name not in names:
        seen = ", ".join(map(str, names)) or answer.text[:80]
        raise ForeignServer(
            f"{server.url} is healthy but serves {seen!r} instead of {served_name!r}: "
            "another server took the port; end it and try again"
        )


def require_answering(server: Server, served_name: str, within_s: float = 10.0) -> None:
    """Raise EngineDied or EngineHung unless the engine answers a request; an error is an answer."""
    try:
        _ask_for_one_token(server, served_name, timeout_s=within_s)
    except httpx.HTTPError as error:
        server.require_alive_after(error)
        raise EngineHung(
            f"requests failed, and a further one got no answer in {within_s:.0f} s: {error}; "
            f"last lines of its log:\n{server.tail(15)}"
        ) from error


def _ask_for_one_token(server: Server, served_name: str, *, timeout_s: float) -> httpx.Response:
    prompt = list(PROBE_PROMPT)
    body = {"model": served_name, "prompt": prompt, "max_tokens": 1, "temperature": 0}
    return server.http.post("/v1/completions", json=body, timeout=timeout_s)


def _one_token(server: Server, served_name: str, *, timeout_s: float) -> None:
    try:
        answer = _ask_for_one_token(server, served_name, timeout_s=timeout_s)
    except httpx.HTTPError as error:
        server.require_alive_after(error)
        raise EngineNotReady(f"healthy, but generated no token: {error}") from error
    if answer.status_code != httpx.codes.OK:
        raise EngineNotReady(f"healthy, but refused a one-token request: {answer.text[:300]}")
