"""Walks a folder: python walk.py FOLDER.

Speaks as loop.c does: for a line with milliseconds the answer is the stat calls made and the nanoseconds of one walk,
as the quickest tenth of them had it.
"""

import os
import sys
import time


def walk(folder: str) -> int:
    """Look at each file; gives how many."""
    files = 0
    for place, _, names in os.walk(folder):
        for name in names:
            os.stat(f"{place}/{name}")  # noqa: PTH116 - as cheap as Python can, so that the calls weigh
        files += len(names)
    return files


def main() -> None:
    """Answer each line."""
    print("ready", flush=True)
    for line in sys.stdin:
        files, took = 0, []
        begin = time.perf_counter_ns()
        end = begin + float(line) * 1e6
        while begin < end:
            files += walk(sys.argv[1])
            now = time.perf_counter_ns()
            took.append(now - begin)
            begin = now
        print(files, sorted(took)[len(took) // 10], flush=True)


if __name__ == "__main__":
    main()
