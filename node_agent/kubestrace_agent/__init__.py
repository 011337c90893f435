"""kubestrace's node service: counts system calls in the kernel and answers the operator."""

import os

# gRPC for Python has no setting for the lowest TLS version. It always offers TLS 1.3's own suites and takes this list
# for TLS 1.2 only; this one suite needs a pre-shared key, which nobody has, so no TLS 1.2 handshake succeeds. Read
# once, when grpc is first imported: hence here. server checks the version again.
os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-PSK-AES128-CBC-SHA"
