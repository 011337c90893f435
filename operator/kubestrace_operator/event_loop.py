"""The operator's event loop: asyncio's own, with one fault of gRPC's part in it made good.

gRPC's thread writes a byte into a socket for each answer, report or end of a call, and its reader in the loop takes one
byte of it in each turn of the loop (grpcio 1.85, cygrpc/aio/completion_queue). Some 280 bytes fill the socket. From
then on that thread waits for room, and the loop hears of one event in each of its turns: of a thousand answers that
wait, the last is heard a thousand turns later, which was 20 s in an operator whose sessions all ended at once.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVarTuple

_GRPC_QUEUE = "PollerCompletionQueue"
_MOST_BYTES = 1 << 16

_Arguments = TypeVarTuple("_Arguments")


class EventLoop(asyncio.SelectorEventLoop):
    """Hears of all that gRPC has to tell in one turn."""

    def add_reader(self, fd: Any, callback: Callable[[*_Arguments], Any], *args: *_Arguments) -> None:
        """Have a callback called whenever there is something to read."""
        function = callback.func if isinstance(callback, partial) else callback
        if type(getattr(function, "__self__", None)).__name__ == _GRPC_QUEUE and isinstance(fd, socket.socket):
            super().add_reader(fd, partial(_drained, fd, partial(callback, *args)))
        else:
            super().add_reader(fd, callback, *args)


def _drained(events: socket.socket, callback: Callable[[], None]) -> None:
    """Take all bytes but the one that the callback takes; it then takes all events.

    In this order none is missed: what has a byte is in the queue before.
    """
    waiting = len(events.recv(_MOST_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    if waiting > 1:
        events.recv(waiting - 1)
    callback()
