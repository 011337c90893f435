"""`kubestrace-agent` and `python -m kubestrace_agent`."""

import os
import sys


def main() -> int:
    """Run the agent; the exit status."""
    # gRPC for Python has no setting for the lowest TLS version. It always offers TLS 1.3's own suites and takes this
    # list for TLS 1.2 only; this one suite needs a pre-shared key, which nobody has, so no TLS 1.2 handshake succeeds.
    # server checks the version again.
    os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-PSK-AES128-CBC-SHA"
    # Only now: it is read once, when grpc is first imported.
    from kubestrace_agent import main as agent  # noqa: PLC0415

    return agent.main()


if __name__ == "__main__":
    sys.exit(main())
