"""Hundreds of simulated agents in one process; fleet.py starts it and asks it.

    python tests/scale/agents_process.py AGENTS PORT

Reads a line with the certificates (JSON: names of the Secret, base64), then words, each of which it answers with a line
of JSON: `watching` with the open streams of each session, `counted` with the calls in the final reports of each.
"""

import asyncio
import base64
import json
import resource
import sys
import zlib
from collections import defaultdict
from typing import Any

from simulated_agents import SimulatedAgent

# System calls of a container, from a small service to a busy one.
_FEWEST_ROWS, _MOST_ROWS = 60, 300


def node_name(number: int) -> str:
    """Return the name of the node that an agent serves."""
    return f"node-{number}"


def address(number: int) -> str:
    """Return the address of an agent: each has its own, as in a cluster."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


def rows(container_id: str) -> int:
    """Return how many rows a container's part of a report has."""
    return _FEWEST_ROWS + zlib.crc32(container_id.encode()) % (_MOST_ROWS - _FEWEST_ROWS + 1)


async def main(count: int, port: int) -> None:
    """Serve until the input ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tls = {name: base64.b64decode(each) for name, each in json.loads(await reader.readline()).items()}
    agents = [SimulatedAgent(node_name(number), rows, watches_pods=True, grows=True) for number in range(count)]
    for number, agent in enumerate(agents):
        await agent.serve(f"{address(number)}:{port}", tls["tls.crt"], tls["tls.key"], tls["ca.crt"])
    print(json.dumps("ready"), flush=True)
    answers = {b"watching": watching, b"counted": counted}
    while word := (await reader.readline()).strip():
        print(json.dumps(answers[word](agents)), flush=True)


def watching(agents: list[SimulatedAgent]) -> dict[str, Any]:
    """Return by session how many nodes have an open stream, and when the first open one of each was opened last."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for agent in agents:
        for uid, streams in agent.watching.items():
            if streams:
                found[uid].append(agent.watched[uid])
    return dict(found)


def counted(agents: list[SimulatedAgent]) -> dict[str, int]:
    """Return the calls in the final reports of each session."""
    sums: defaultdict[str, int] = defaultdict(int)
    for agent in agents:
        for uid, calls in agent.counted.items():
            sums[uid] += calls
    return dict(sums)


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
