"""Where a host keeps what outlives a launch: engine environments, caches, logs, the spool."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def home() -> Path:
    """TAILWATCH_HOME, or `.tailwatch` in the checkout."""
    return Path(os.environ.get("TAILWATCH_HOME") or REPOSITORY / ".tailwatch").absolute()
