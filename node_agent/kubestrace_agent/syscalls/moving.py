"""Which calls return how many bytes they moved. Pure.

By man 2 NAME. Not those of sockets that return how many messages they moved (sendmmsg, recvmmsg), nor those that fill
a buffer with something else than what a file or a peer holds (getdents64, readlink).
"""

_NAMES = (
    "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 "
    "send recv sendto recvfrom sendmsg recvmsg sendfile sendfile64 copy_file_range splice tee vmsplice "
    "msgrcv mq_timedreceive mq_timedreceive_time64 process_vm_readv process_vm_writev"
)
MOVING = frozenset(_NAMES.split())
