# ruff: noqa: INP001 (a folder of the engine's path, not a package)
"""The `busy` variant: a thread of the engine's worker that keeps the interpreter half of the time.

Python imports this module by itself in every engine process whose PYTHONPATH names this folder.
"""

import sys
import threading
import time

WORKERS = {"vllm.v1.worker.cpu_worker", "vllm.v1.worker.gpu_worker"}
SETTLE_S = 3.0
"""Start-up is left alone: only serving becomes slow."""
SHARE_S = 0.006


def _keep_busy() -> None:
    while not WORKERS & sys.modules.keys():
        time.sleep(1.0)
    time.sleep(SETTLE_S)
    while True:
        until = time.perf_counter() + SHARE_S
        while time.perf_counter() < until:
            pass
        time.sleep(SHARE_S)


threading.Thread(target=_keep_busy, name="planted", daemon=True).start()
