"""A server whose truth is known: when each request came and when each event left.

    python benchmarks/reference_server.py --port 8000 --itl-ms 10 --ttft-ms 5 --core 0

It works like an engine: every `--itl-ms` there is a step, and a step gives each running stream one
token, in the order in which they came. It speaks enough of vLLM's API for the load clients that are
measured against it: POST /v1/completions, GET /v1/models, /health and /metrics. The first token of
a stream says its number, `#17`, and so does the id of its events.

The truth, all in seconds of CLOCK_MONOTONIC:
  came_s  the kernel's receive stamp of the request's last byte, not when this process got to it;
  left_s  the clock just before send(2); every event carries it as `sent_s`;
  took_s  how long that send(2) took. On the loopback interface send(2) itself carries the bytes
          into the receiving socket, so the event arrived between left_s and left_s + took_s: that
          is the truth's own doubt. Stamps of the sending side (SOF_TIMESTAMPING_TX_SOFTWARE) lie
          in the same interval and would cost a second system call for each event.

GET /truth gives it for all streams since GET /forget, with how late the steps were and how long
they took: a step that takes longer than --itl-ms means that the server is the bottleneck.
GET /watch/PID makes it keep the processor time of that process and its descendants, from the first
request until 50 ms after the last event, whenever nothing ran before.
"""

import argparse
import json
import os
import select
import socket
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fidelity.served import Stream, Truth

from runners.load import clock

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
MODELS = {"object": "list", "data": [{"id": "m", "object": "model", "max_model_len": 65536}]}
AFTER_S = 0.05
"""From the last event until the watched processes' time is read."""
SPIN_S = 0.002
"""epoll waits for whole milliseconds: the rest is polled away."""
AT_ONCE = 16
"""Requests that are read between two looks at the clock."""


class Server:
    """One loop over all connections."""

    def __init__(self, port: int, ttft_s: float, itl_s: float) -> None:
        self.ttft_s, self.itl_s = ttft_s, itl_s
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.connections: dict[int, tuple[socket.socket, bytearray]] = {}
        self.offset_s = clock.realtime_offset()
        self.running: list[Stream] = []
        self.truth = Truth()
        self.watched: int | None = None
        self.cpu_before_s = 0.0
        self.idle_at_s: float | None = None

    def run(self) -> None:
        due = clock.now()
        while True:
            wait_s = due - clock.now() if self.running else (AFTER_S if self.idle_at_s else 1.0)
            wait_s = 0.0 if wait_s < SPIN_S else wait_s - SPIN_S
            for number, _ in self.epoll.poll(wait_s, AT_ONCE):
                if number == self.listener.fileno():
                    self._accept()
                else:
                    self._read(number)
            now = clock.now()
            if self.running and now >= due:
                self._step(now, due)
            if now >= due:
                due = max(due + self.itl_s, now - self.itl_s)
            if self.idle_at_s is not None and now >= self.idle_at_s + AFTER_S:
                self._rest()

    def _step(self, now: float, due: float) -> None:
        """One token for each stream whose time to the first token is over."""
        begun_by = now - self.ttft_s
        ended = [s for s in self.running if s.came_s <= begun_by and not s.event()]
        self.truth.late_s.append(now - due)
        self.truth.step_s.append(clock.now() - now)
        if ended:
            gone = set(map(id, ended))
            self.running = [stream for stream in self.running if id(stream) not in gone]
            self.idle_at_s = None if self.running else clock.now()

    def _rest(self) -> None:
        self.idle_at_s = None
        if self.watched is not None:
            self.truth.cpu_s = cpu_s(self.watched) - self.cpu_before_s

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except BlockingIOError:
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            clock.ask_for_stamps(connection)
            self.connections[connection.fileno()] = connection, bytearray()
            self.epoll.register(connection, select.EPOLLIN)

    def _read(self, number: int) -> None:
        connection, buffer = self.connections[number]
        try:
            content, ancillary, _, _ = connection.recvmsg(1 << 16, clock.ANCILLARY_BYTES)
        except OSError:
            content, ancillary = b"", []
        if not content:
            self.epoll.unregister(number)
            del self.connections[number]
            connection.close()
            return
        buffer += content
        stamped = clock.stamps(content for _, _, content in ancillary)
        came_s = stamped[0] - self.offset_s if stamped else clock.now()
        if (request := _request(buffer)) is not None:
            buffer.clear()
            self._answer(connection, came_s, *request)

    def _answer(
        self, connection: socket.socket, came_s: float, path: str, name: str, body: bytes
    ) -> None:
        if path == "/v1/completions":
            self._begin(connection, json.loads(body), name, came_s)
        else:
            self._page(connection, path)

    def _begin(
        self, connection: socket.socket, body: dict[str, Any], name: str, came_s: float
    ) -> None:
        if not self.running and self.watched is not None:
            self.cpu_before_s = cpu_s(self.watched)
        prompt, asked = body["prompt"], body.get("stream_options") or {}
        stream = Stream(
            connection=connection,
            number=len(self.truth.streams),
            name=name or str(prompt[0]),
            wanted=int(body.get("max_tokens") or 16),
            prompt_tokens=len(prompt),
            usage=bool(asked.get("include_usage")),
            continuous_usage=bool(asked.get("continuous_usage_stats")),
            came_s=came_s,
        )
        if not body.get("stream"):
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            answer = {"choices": [{"index": 0, "text": " a"}], "usage": usage}
            _reply(connection, answer)
            return
        self.truth.streams.append(stream)
        self.running.append(stream)
        self.idle_at_s = None
        connection.send(HEAD)

    def _page(self, connection: socket.socket, path: str) -> None:
        if path == "/forget":
            self.truth = Truth()
            self.offset_s = clock.realtime_offset()
        elif path.startswith("/watch/"):
            self.watched = int(path.rpartition("/")[2])
        pages = {"/v1/models": MODELS, "/truth": self.truth.told() if path == "/truth" else {}}
        _reply(connection, pages.get(path, {}))


def _request(buffer: bytearray) -> tuple[str, str, bytes] | None:
    """Path, X-Request-ID and body, once all of it is there."""
    head, found, body = bytes(buffer).partition(b"\r\n\r\n")
    lines = (line.partition(b": ") for line in head.split(b"\r\n")[1:])
    fields = {name.lower(): value for name, _, value in lines}
    if not found or len(body) < int(fields.get(b"content-length", 0)):
        return None
    path = head.split()[1].decode().partition("?")[0]
    return path, fields.get(b"x-request-id", b"").decode(), body


def _reply(connection: socket.socket, content: object) -> None:
    body = json.dumps(content).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    connection.setblocking(True)
    connection.sendall(head % len(body) + body)
    connection.setblocking(False)


def cpu_s(root: int) -> float:
    """Processor time of a process and its descendants, those that ended and were waited for too."""
    parents, ticks = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            values = stat.read_bytes().rpartition(b")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        pid = int(stat.parent.name)
        parents[pid], ticks[pid] = int(values[1]), sum(map(int, values[11:15]))
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks.get(pid, 0) for pid in family) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ttft-ms", type=float, default=5.0, help="at least so long, default 5")
    parser.add_argument("--itl-ms", type=float, default=10.0, help="from step to step, default 10")
    parser.add_argument("--core", type=int, default=0, help="its own, default 0")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.core})
    Server(arguments.port, arguments.ttft_ms / 1e3, arguments.itl_ms / 1e3).run()


if __name__ == "__main__":
    main()
