"""A stand-in for an engine's interpreter that speaks what an engine's server speaks.

    python fake_engine.py -c CODE --port 8000 --served-model-name NAME ...
    python fake_engine.py -m sglang.launch_server --port 8000 --served-model-name NAME ...

CODE that reads distributions gets a description of vLLM 0.32.0 or SGLang 0.5.17; any other CODE is
vLLM's API server. SGLang's pages, names and log lines are those that 0.5.17 was seen with.
Tokens come at fixed times, and /metrics tells when they really left, by this process's own clock.
FAKE_* variables make it behave badly; see Behaviour.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import fake_experts

Json: TypeAlias = dict[str, Any]

LONGEST_LIFE_S = 120
"""However a test ends, no fake engine outlives this."""
KV_TOKENS = 4096
LOG = """\
Model loading took 1.5 GiB memory and 0.1 seconds
GPU KV cache size: 4,096 tokens
Graph capturing finished in 1 secs, took 0.25 GiB"""
REFUSAL = """\
pydantic_core._pydantic_core.ValidationError: 1 validation error for VllmConfig
  Value error, AuxOutput Connector requires Model Runner V2; set VLLM_USE_V2_MODEL_RUNNER=1. \
[type=value_error, input_value=ArgsKwargs((), {'model_co... 'shutdown_timeout': 0}), \
input_type=ArgsKwargs]
    For further information visit https://errors.pydantic.dev/2.14/v/value_error"""
"""The end of what vLLM 0.32.0 for CPUs said to --enable-return-routed-experts."""
CRASH = """\
  File "/tmp/e/sglang/srt/layers/moe/topk.py", line 1884, in capture_routed_experts_if_allowed
    cap.capture(
  File "/tmp/e/sglang/srt/state_capturer/routed_experts.py", line 116, in capture
    super().capture(layer_id, topk_indices)
  File "/tmp/e/sglang/srt/state_capturer/base.py", line 128, in capture
    self.device_cache.capture(layer_id, topk_indices)
  File "/tmp/e/sglang/srt/state_capturer/base.py", line 41, in capture
    self.buffer[:batch, layer_id, :] = topk_indices
    ~~~~~~~~~~~^^^^^^^^^^^^^^^^^^^^^
RuntimeError: The expanded size of the tensor (32) must match the existing size (8192) at \
non-singleton dimension 2.  Target sizes: [8192, 1, 32, 2].  Tensor sizes: [8192, 2]

[2026-11-23 08:43:19] Received sigquit from a child process. It usually means the child failed.
[2026-11-23 08:43:19] kill_process_tree called: parent_pid=4700, include_parent=True, pid=4700"""
"""The end of what SGLang 0.5.17 said to it with Mixtral on an H200."""
COMPILED = """\
WARNING 11-23 12:18:43 [jit_monitor.py:126] Triton kernel JIT compilation during inference: \
fused_moe_kernel. This causes a latency spike"""
"""What vLLM 0.25.1 says when a batch first has a size that needs another kernel."""
SGLANG_LOG = """\
[2026-11-22 05:38:42] Load weight end. elapsed=8.19 s, type=MixtralForCausalLM, avail mem=70 GB, \
mem usage=1.50 GB.
[2026-11-22 05:38:43] KV Cache is allocated. dtype: torch.bfloat16, #tokens: 4096, \
K size: 0.25 GB, V size: 0.25 GB
[2026-11-22 05:40:06] Capture target decode CUDA graph end. elapsed=83.48 s, mem usage=0.25 GB, \
avail mem=12.52 GB.
[2026-11-22 05:38:32 TP0] sglang is using nccl==2.28.9
[2026-11-22 05:40:06] max_total_num_tokens=4096, chunked_prefill_size=8192, context_len=2048
[2026-11-22 05:40:06] The server is fired up and ready to roll!"""
SGLANG_SAYS = {"version": "0.5.17", "dtype": "bfloat16", "tp_size": 1, "disable_radix_cache": True}
OPTIONS = {"dtype": "torch.bfloat16", "max_model_len": 2048, "enforce_eager": True, "seed": 0}


@dataclass
class Behaviour:
    """FAKE_TTFT_S and so on; numbers, 0 is off."""

    ttft_s: float = 0.010
    itl_s: float = 0.004
    merge: float = 1
    """Tokens of one event."""
    split: float = 0
    """Write every event in two halves, this many seconds apart."""
    die_at_start: float = 0
    never_healthy: float = 0
    die_after: float = 0
    """Exit in the middle of this streamed request, counted from 1."""
    hang_after: float = 0
    """From this streamed request on, nothing is answered any more but /health."""
    ignore_term: float = 0
    grandchild: float = 0
    """Start a process in a session of its own that ignores SIGTERM."""
    other_name: float = 0
    forget_after: float = 0
    """From this streamed request on, everything counted before is forgotten."""
    cache_hits: float = 0
    """Prompt tokens of each request that come from the prefix cache."""
    missing_tokens: float = 0
    error_every: float = 0
    """Answer every so manieth streamed request with HTTP 500."""
    info_s: float = 0
    """How long /server_info takes."""
    refuse_experts: float = 0
    """Exit at once when it is to return experts: 1, as vLLM does where it cannot; 2, as SGLang."""
    no_experts: float = 0
    """Accept the flag and return none."""
    lost_rows: float = 0
    """Experts of so many tokens are missing in every answer."""
    zero_experts: float = 0
    """Experts of so many tokens were never captured: they are zeros."""
    broken_answer: float = 0
    """Answer requests that are no stream and not the probe with HTTP 500."""
    error_in_stream: float = 0
    """Report an error in the stream after the first token."""

    @classmethod
    def read(cls) -> "Behaviour":
        named = {field.name: os.environ.get(f"FAKE_{field.name.upper()}") for field in fields(cls)}
        return cls(**{name: float(text) for name, text in named.items() if text})


class Engine:
    """Answers requests and keeps the counters that /metrics shows."""

    def __init__(
        self, name: str, behaviour: Behaviour, *, sglang: bool = False, experts: bool = False
    ) -> None:
        self.name, self.behaviour, self.sglang = name, behaviour, sglang
        self.returns_experts = experts
        self.arrivals: list[float] = []
        self.streamed = self.in_flight = self.most_in_flight = 0
        self.forget()

    def forget(self) -> None:
        """All counters of /metrics begin at 0."""
        self.tokens = self.cached = self.requests = self.prompts = 0
        self.ttft_sum = self.itl_sum = self.e2e_sum = 0.0
        self.ttft_count = self.itl_count = 0

    @property
    def hangs(self) -> bool:
        return bool(self.behaviour.hang_after) and self.streamed >= self.behaviour.hang_after

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = _content_length(head)
                body = json.loads(await reader.readexactly(length)) if length else {}
                await self.answer(head.split()[1].decode(), body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def answer(self, path: str, body: Json, writer: asyncio.StreamWriter) -> None:
        if path == "/v1/completions":
            await self.complete(body, writer)
            return
        pages: dict[str, Callable[[], str | Json]] = {
            "/health": lambda: "",
            "/v1/models": lambda: {"object": "list", "data": [{"id": self.name}]},
            "/metrics": self.metrics,
            "/server_info" if self.sglang else "/server_info?config_format=json": self.info,
            "/fake": lambda: {"arrivals": self.arrivals, "most_in_flight": self.most_in_flight},
        }
        if path.startswith("/server_info"):
            await asyncio.sleep(self.behaviour.info_s)
        if path == "/health" and self.behaviour.never_healthy:
            await reply(writer, 503, "")
        elif path in pages:
            await reply(writer, 200, pages[path]())
        else:
            await reply(writer, 404, {"detail": "Not Found"})

    async def complete(self, body: Json, writer: asyncio.StreamWriter) -> None:
        if not body.get("stream"):
            if self.hangs:
                await asyncio.Event().wait()
            await asyncio.sleep(self.behaviour.ttft_s)
            broken = self.behaviour.broken_answer and body["max_tokens"] > 1
            await reply(writer, 500 if broken else 200, self.whole(body))
            return
        self.arrivals.append(time.monotonic())
        self.streamed += 1
        if self.streamed == 1:
            print(COMPILED, flush=True)
        if self.streamed == self.behaviour.forget_after:
            self.forget()
        every = self.behaviour.error_every
        if every and self.streamed % every == 0:
            await reply(writer, 500, {"error": {"message": "EngineCore encountered an issue"}})
            return
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self.stream(body, writer)
        finally:
            self.in_flight -= 1

    def whole(self, body: Json) -> Json:
        """An answer that is no stream, with the experts of its tokens where they are to be told."""
        answer: Json = {"choices": [{"index": 0, "text": "a"}]}
        fake = self.behaviour
        if not self.returns_experts or fake.no_experts:
            return answer
        tokens = len(body["prompt"]) + body["max_tokens"] - 1 - int(fake.lost_rows)
        zeros = int(fake.zero_experts) * fake_experts.LAYERS * fake_experts.EACH
        numbers = [0] * zeros + fake_experts.chosen(tokens)[zeros:]
        if not self.sglang:
            shape = (tokens, fake_experts.LAYERS, fake_experts.EACH)
            answer["choices"][0]["routed_experts"] = fake_experts.npy(numbers, shape)
        elif body.get("return_routed_experts"):
            answer["sglext"] = {"routed_experts": fake_experts.int32(numbers)}
        return answer

    async def stream(self, body: Json, writer: asyncio.StreamWriter) -> None:
        """Tokens at fixed times after the arrival, usage in every event."""
        began, fake, mine = time.monotonic(), self.behaviour, self.streamed
        self.cached += int(fake.cache_hits)
        wanted = body["max_tokens"] - int(fake.missing_tokens)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        sent, last = 0, began
        while sent < wanted:
            gained = min(wanted - sent, int(fake.merge))
            sent += gained
            due = began + fake.ttft_s + (sent - 1) * fake.itl_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if sent > wanted // 2:
                await self.misbehave(mine)
            last = self.count(gained, began, last)
            usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": sent}
            await self.event(writer, {"choices": [{"index": 0, "text": "a"}], "usage": usage})
            if fake.error_in_stream:
                await self.event(writer, {"error": {"message": "out of pages", "code": 500}})
        self.requests, self.prompts = self.requests + 1, self.prompts + len(body["prompt"])
        self.e2e_sum += last - began
        await self.event(writer, {"choices": [], "usage": usage})
        writer.write(_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()

    async def misbehave(self, request: int) -> None:
        if self.behaviour.die_after and request >= self.behaviour.die_after:
            print("CUDA error: an illegal memory access was encountered", flush=True)
            os._exit(1)
        if self.hangs:
            await asyncio.Event().wait()

    def count(self, gained: int, began: float, last: float) -> float:
        """Keep when these tokens leave; returns that moment."""
        now = time.monotonic()
        self.tokens += gained
        if last == began:
            self.ttft_sum, self.ttft_count = self.ttft_sum + now - began, self.ttft_count + 1
        else:
            self.itl_sum, self.itl_count = self.itl_sum + now - last, self.itl_count + gained
        return now

    async def event(self, writer: asyncio.StreamWriter, event: Json) -> None:
        line = b"data: " + json.dumps(event).encode() + b"\n\n"
        if self.behaviour.split:
            writer.write(_chunk(line[:20]))
            await writer.drain()
            await asyncio.sleep(self.behaviour.split)
            line = line[20:]
        writer.write(_chunk(line))
        await writer.drain()

    def metrics(self) -> str:
        values = {
            "num_preemptions_total": 0,
            "prompt_tokens_total": self.prompts,
            "generation_tokens_total": self.tokens,
            "time_to_first_token_seconds_sum": self.ttft_sum,
            "time_to_first_token_seconds_count": self.ttft_count,
            "inter_token_latency_seconds_sum": self.itl_sum,
            "inter_token_latency_seconds_count": self.itl_count,
            "e2e_request_latency_seconds_sum": self.e2e_sum,
            "e2e_request_latency_seconds_count": self.requests,
        }
        own = self.sglangs() if self.sglang else self.vllms()
        prefix, labels = (
            ("sglang", 'is_streaming="true"') if self.sglang else ("vllm", 'engine="0"')
        )
        lines = [f"{prefix}:{name}{{{labels}}} {value!r}" for name, value in values.items()]
        return "\n".join([*lines, *own, ""])

    def vllms(self) -> list[str]:
        """Lines that only vLLM has."""
        cache = f'{{block_size="16",kv_cache_size_tokens="{KV_TOKENS}"}}'
        return [
            f"vllm:prefix_cache_hits_total {self.cached}",
            f'vllm:request_success_total{{finished_reason="stop"}} {self.requests // 2}',
            f'vllm:request_success_total{{finished_reason="length"}} {-(-self.requests // 2)}',
            f"vllm:cache_config_info{cache} 1.0",
        ]

    def sglangs(self) -> list[str]:
        """Lines that only SGLang has; a counter with a label appears when it is first used."""
        cached = f'sglang:cached_tokens_total{{cache_source="device"}} {self.cached}'
        return [
            f'sglang:num_requests_total{{is_streaming="true"}} {self.requests}',
            *([cached] if self.cached else []),
        ]

    def info(self) -> Json:
        if self.sglang:
            return {**SGLANG_SAYS, "internal_states": [{"memory_usage": {"weight": 1.5}}]}
        return {"vllm_config": {"model_config": OPTIONS, "cache_config": {"block_size": 16}}}


async def reply(writer: asyncio.StreamWriter, status: int, content: str | Json) -> None:
    """One whole answer."""
    body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    writer.write(f"HTTP/1.1 {status} Fake\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


def _chunk(content: bytes) -> bytes:
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


async def run(arguments: list[str], behaviour: Behaviour) -> None:
    """Serve until the end."""
    asked = _option(arguments, "--served-model-name")
    sglang = "sglang.launch_server" in arguments
    name = "somebody-else" if behaviour.other_name else asked
    experts = "--enable-return-routed-experts" in arguments
    engine = Engine(name, behaviour, sglang=sglang, experts=experts)
    port = int(_option(arguments, "--port"))
    server = await asyncio.start_server(engine.serve, "127.0.0.1", port, limit=2**20)
    print(SGLANG_LOG if sglang else LOG, flush=True)
    await server.serve_forever()


def main(arguments: list[str]) -> int:
    if any("importlib.metadata" in argument for argument in arguments):
        version = "0.5.17" if "sglang" in arguments else "0.32.0"
        print(json.dumps({"version": version, "source_commit": "abc", "digest": "sha256:fake"}))
        return 0
    behaviour = Behaviour.read()
    signal.alarm(LONGEST_LIFE_S)
    if behaviour.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour.grandchild:
        stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
        subprocess.Popen([sys.executable, "-S", "-c", stubborn], start_new_session=True)
    if behaviour.die_at_start:
        print("loading weights\nRuntimeError: CUDA out of memory", flush=True)
        return 3
    if behaviour.refuse_experts and "--enable-return-routed-experts" in arguments:
        print(REFUSAL if behaviour.refuse_experts == 1 else CRASH, flush=True)
        return 1
    asyncio.run(run(arguments, behaviour))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
