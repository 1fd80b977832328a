"""What an engine with --enable-return-routed-experts sends: made without NumPy, as bytes.

Of two layers and eight experts, two for a token: layer 0 takes turns, layer 1 always takes 0 and 1.
"""

import base64
import struct

LAYERS, EACH = 2, 2


def chosen(tokens: int) -> list[int]:
    """In C order of (tokens, layers, experts of a token)."""
    return [own for at in range(tokens) for own in (at % 8, (at + 1) % 8, 0, 1)]


def npy(numbers: list[int], shape: tuple[int, ...]) -> str:
    """base64 of a .npy file of uint8, as vLLM sends it."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    padded = header.ljust(-(-(10 + len(header) + 1) // 64) * 64 - 11) + "\n"
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded.encode()
    return base64.b64encode(head + bytes(numbers)).decode()


def int32(numbers: list[int]) -> str:
    """base64 of bare int32, as SGLang sends it."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}i", *numbers)).decode()
