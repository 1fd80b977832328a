"""The engines a runner can launch."""

from runners.engines.adapter import Adapter
from runners.engines.sglang import Sglang
from runners.engines.vllm import Vllm
from schema.cells import Engine

ADAPTERS: dict[Engine, Adapter] = {Engine.VLLM: Vllm(), Engine.SGLANG: Sglang()}
