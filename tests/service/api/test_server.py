"""An answer goes out in one piece, however the server writes it."""

from __future__ import annotations

import asyncio

from service.api.server import Joined


class Wire(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data):
        assert not self.closed
        self.sent.append(data)

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed


async def test_what_is_written_in_one_step_is_sent_at_once():
    wire = Wire()
    joined = Joined(wire)
    joined.write(b"head")
    joined.write(b"body")
    await asyncio.sleep(0)
    joined.write(b"the next")
    await asyncio.sleep(0)

    assert wire.sent == [b"headbody", b"the next"]


async def test_closing_sends_what_was_written_before():
    wire = Wire()
    joined = Joined(wire)
    joined.write(b"answer")
    joined.close()
    joined.write(b"too late")
    await asyncio.sleep(0)

    assert wire.sent == [b"answer"]
    assert joined.is_closing()
