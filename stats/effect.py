"""How much two samples overlap."""

from collections.abc import Sequence

import numpy as np


def cliffs_delta(baseline: Sequence[float], contender: Sequence[float]) -> float:
    """Share of pairs in which the contender is larger minus share in which it is smaller: -1 to 1.

    N. Cliff, Psychological Bulletin 114 (1993) 494-509. Of two constants it is 1 however near
    they are: never a reason alone.
    """
    if not baseline or not contender:
        raise ValueError(f"an overlap of {len(baseline)} and {len(contender)} values")
    return float(np.sign(np.subtract.outer(np.asarray(contender), np.asarray(baseline))).mean())
