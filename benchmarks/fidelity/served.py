"""A stream that the reference server answers, and what it tells of it at /truth."""

import socket
from array import array
from dataclasses import dataclass, field
from typing import Any

from runners.load import clock

EVENT = (
    b'data: {"id":"cmpl-%d","object":"text_completion","created":1,"model":"m","choices":[{"index"'
    b':0,"text":"%b","logprobs":null,"finish_reason":%b}]%b,"sent_s":%.9f}\n\n'
)
USAGE = b',"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}'
LAST = (
    b'data: {"id":"cmpl-%d","object":"text_completion","created":1,"model":"m","choices":[]%b}\n\n'
)
DONE = b"data: [DONE]\n\n"
CHUNK = b"%x\r\n%b\r\n"


@dataclass(kw_only=True, slots=True)
class Stream:
    """One request that is answered."""

    connection: socket.socket
    number: int
    name: str
    """X-Request-ID, or the first token id of its prompt."""
    wanted: int
    prompt_tokens: int
    usage: bool
    continuous_usage: bool
    came_s: float
    left_s: "array[float]" = field(default_factory=lambda: array("d"))
    took_s: "array[float]" = field(default_factory=lambda: array("d"))

    def event(self) -> bool:
        """Send the next token; whether more follow."""
        place = len(self.left_s) + 1
        text = b" a" if place > 1 else b" #%d" % self.number
        over = place >= self.wanted
        finish = b'"length"' if over else b"null"
        usage = self._usage(place) if self.continuous_usage else b""
        now = clock.now()
        event = EVENT % (self.number, text, finish, usage, now)
        self.left_s.append(now)
        try:
            self.connection.send(CHUNK % (len(event), event))
            self.took_s.append(clock.now() - now)
            if over:
                self._end()
        except OSError:  # whoever asked is gone
            self.took_s.append(0.0)
            return False
        return not over

    def _usage(self, place: int) -> bytes:
        return USAGE % (self.prompt_tokens, place, self.prompt_tokens + place)

    def _end(self) -> None:
        last = DONE
        if self.usage:
            last = LAST % (self.number, self._usage(self.wanted)) + DONE
        self.connection.send(CHUNK % (len(last), last) + b"0\r\n\r\n")


@dataclass(kw_only=True)
class Truth:
    """What is told at /truth."""

    streams: list[Stream] = field(default_factory=list)
    late_s: "array[float]" = field(default_factory=lambda: array("d"))
    """Begin of each step less the time at which it was due."""
    step_s: "array[float]" = field(default_factory=lambda: array("d"))
    cpu_s: float | None = None
    """Of the watched processes, under load."""

    def told(self) -> dict[str, Any]:
        return {
            "late_s": list(self.late_s),
            "step_s": list(self.step_s),
            "cpu_s": self.cpu_s,
            "streams": [
                {
                    "number": stream.number,
                    "name": stream.name,
                    "came_s": stream.came_s,
                    "left_s": list(stream.left_s),
                    "took_s": list(stream.took_s),
                }
                for stream in self.streams
            ],
        }
