"""Messages between the server and its worker: a JSON object and raw bytes, both with their lengths in front.

4 bytes   length of the JSON    ─┐ little-endian
4 bytes   length of the bytes   ─┘
JSON, bytes
"""

import json
import struct
from typing import IO, Any

Message = tuple[dict[str, Any], bytes]
"""The JSON object and the bytes: a question to the worker, or its answer."""
_LENGTHS = struct.Struct("<II")
LONGEST_JSON = 64 << 20
LONGEST_BODY = 1 << 30
"""Bytes; ten minutes of stereo in 32 bits are 230 MB."""

MORE, ENOUGH = "more", "enough"
"""What is said to an answer in parts, after each of them."""


class BrokenFrameError(Exception):
    """The other end is gone, or what came is no message."""


def send(stream: IO[bytes], head: dict[str, Any], body: bytes = b"") -> None:
    """Writes one message.

    Raises:
        BrokenFrameError: if the other end is gone.
        ValueError: if it is longer than the other end takes.
    """
    text = json.dumps(head).encode()
    if len(text) > LONGEST_JSON or len(body) > LONGEST_BODY:
        raise ValueError(f"a message of {len(text)} and {len(body)} bytes is too long")
    try:
        stream.write(_LENGTHS.pack(len(text), len(body)) + text)
        stream.write(body)
        stream.flush()
    except (OSError, ValueError) as error:  # ValueError: the stream is closed
        raise BrokenFrameError(str(error)) from error


def receive(stream: IO[bytes]) -> Message | None:
    """Reads one message; None where the other end has closed.

    Raises:
        BrokenFrameError: if it ends within a message, or what came is none.
    """
    start = stream.read(_LENGTHS.size)
    if not start:
        return None
    if len(start) < _LENGTHS.size:
        raise BrokenFrameError("it ended within a message")
    text_length, body_length = _LENGTHS.unpack(start)
    if text_length > LONGEST_JSON or body_length > LONGEST_BODY:
        raise BrokenFrameError(f"a message of {text_length} and {body_length} bytes is too long")
    text, body = stream.read(text_length), stream.read(body_length)
    if len(text) < text_length or len(body) < body_length:
        raise BrokenFrameError("it ended within a message")
    head = json.loads(text)
    if not isinstance(head, dict):
        raise BrokenFrameError("it is no JSON object")
    return head, body
