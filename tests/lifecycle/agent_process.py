"""A simulated agent as a process, with the tree of any version: `agent_process.py TREE NODE ADDRESS FOLDER`.

The agent and the protocol are that tree's; FOLDER holds tls.crt, tls.key and ca.crt. It runs until it is killed, ten
minutes at most.
"""

import asyncio
import secrets
import sys
from pathlib import Path
from typing import Any


async def main(tree: Path, node: str, address: str, folder: Path) -> None:
    """Serve."""
    sys.path[:0] = [str(tree / "protos"), str(tree / "tests" / "scale")]
    from simulated_agents import SimulatedAgent  # noqa: PLC0415 -- of the tree that is named

    class Restarted(SimulatedAgent):
        """Each process is another agent, as real ones are."""

        agent_id = secrets.token_hex(4)

        async def Describe(self, request: Any, context: Any) -> Any:  # noqa: N802
            return self._signed(await super().Describe(request, context))

        async def StartTrace(self, request: Any, context: Any) -> Any:  # noqa: N802
            return self._signed(await super().StartTrace(request, context))

        async def ListTraces(self, request: Any, context: Any) -> Any:  # noqa: N802
            return self._signed(await super().ListTraces(request, context))

        def _report(self, uid: str) -> Any:
            return self._signed(super()._report(uid))

        def _signed(self, answer: Any) -> Any:
            answer.agent_id = self.agent_id
            return answer

    certificate, key, ca = ((folder / name).read_bytes() for name in ("tls.crt", "tls.key", "ca.crt"))
    await Restarted(node).serve(address, certificate, key, ca)
    print("serving", flush=True)
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])))
