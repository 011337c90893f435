#!/usr/bin/env python3
"""A checkout service that is slow for reasons its own code hides: trace it and read them off the table.

    kubestrace local -- python3 examples/slow-checkout/checkout.py

It handles 300 orders in four threads and ends, after 3 to 5 seconds. Its log shows nothing; the kernel sees more:

- fsync: every order is synced to the journal by itself instead of in groups;
- futex: the journal's lock is held during the fraud check, its pauses and the fsync, so the other workers wait for it;
- read: each order is read from its file one byte at a time;
- newfstatat with ENOENT: the settings are looked for in eight places for each order, and are in none;
- connect with ECONNREFUSED: the fraud check is down, and each order tries it three times;
- clock_nanosleep: the pause after each refused attempt, time in which nobody is served.

Standard library only; nothing outside a temporary folder is written. With --rounds 0 it goes on until it is stopped.
"""

import argparse
import collections
import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

WORKERS = 4
ORDERS_A_ROUND = 300
SETTINGS = [f"{folder}/checkout/{name}" for folder in ("/etc", "/usr/local/etc") for name in "abcd"]
ATTEMPTS = 3
PAUSE_SECONDS = 0.004

Counts = collections.Counter[str]


class Journal:
    """The orders' log, and the lock of those that write to it."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.lock = threading.Lock()

    def append(self, record: bytes, counts: Counts) -> None:
        """Write one order and sync it; the caller has the lock."""
        os.write(self.file, record)
        os.fsync(self.file)
        counts["fsync"] += 1


def load_settings(counts: Counts) -> None:
    """Look for a settings file in every place, every time."""
    for place in SETTINGS:
        counts["stat"] += 1
        try:
            os.stat(place)  # noqa: PTH116 (this one call is the point)
        except FileNotFoundError:
            counts["stat ENOENT"] += 1


def read_order(path: Path, counts: Counts) -> bytes:
    """Read the order's line a byte at a time."""
    file = os.open(path, os.O_RDONLY)
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(file, 1)
        counts["read 1 byte"] += 1
    os.close(file)
    return line


def check_fraud(address: tuple[str, int], counts: Counts) -> bool:
    """Ask a service that is not there, and pause after each refusal."""
    for _ in range(ATTEMPTS):
        with socket.socket() as peer:
            counts["connect"] += 1
            try:
                peer.connect(address)
            except ConnectionRefusedError:
                counts["connect ECONNREFUSED"] += 1
                time.sleep(PAUSE_SECONDS)
                continue
            return True
    return False


def work(orders: Iterator[Path], journal: Journal, fraud: tuple[str, int], counts: Counts) -> None:
    """Take orders until there are none: one worker."""
    for path in orders:
        load_settings(counts)
        record = read_order(path, counts)
        # So that no order overtakes another one.
        with journal.lock:
            check_fraud(fraud, counts)
            journal.append(record, counts)
        counts["orders"] += 1


class SharedOrders:
    """The orders still to be handled, for all workers together."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.path = folder / "order.json"
        self.path.write_text(json.dumps({"order": 4711, "items": ["tea"] * 30, "customer": "c-0815"}) + "\n")
        self.left = rounds * ORDERS_A_ROUND if rounds else sys.maxsize
        self.lock = threading.Lock()

    def __iter__(self) -> "SharedOrders":
        return self

    def __next__(self) -> Path:
        with self.lock:
            if self.left == 0:
                raise StopIteration
            self.left -= 1
        return self.path


def serve(folder: Path, rounds: int) -> Counts:
    """Handle all orders; returns what was called how often."""
    # Bound and never listening: every connect to it is refused, whatever else runs on the machine.
    nobody = socket.socket()
    nobody.bind(("127.0.0.1", 0))
    orders, journal = SharedOrders(folder, rounds), Journal(folder / "journal")
    counts = [Counts() for _ in range(WORKERS)]
    threads = [threading.Thread(target=work, args=(orders, journal, nobody.getsockname(), mine)) for mine in counts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts, Counts())


def main() -> None:
    """Read the options, serve, and say what was done."""
    parser = argparse.ArgumentParser(description="A checkout service that misbehaves, to be traced.")
    parser.add_argument("--rounds", type=int, default=1, help=f"{ORDERS_A_ROUND} orders each; 0: for ever (default: 1)")
    parser.add_argument("--counts", action="store_true", help="print the calls it made itself, as JSON")
    parser.add_argument("--folder", help="where its files go, a real disk (default: /var/tmp)", default="/var/tmp")  # noqa: S108
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="checkout-", dir=options.folder) as folder:
        start = time.monotonic()
        counts = serve(Path(folder), options.rounds)
    if options.counts:
        print(json.dumps(counts))
    else:
        print(f"checkout: {counts['orders']} orders in {time.monotonic() - start:.1f} s, no errors")


if __name__ == "__main__":
    main()
