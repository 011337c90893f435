"""What the kernel counts for a whole network namespace, by our names and by the kernel's (Linux net/ipv4/proc.c)."""

# They only grow. What stands before the dot is the line of /proc/PID/net/snmp or netstat.
COUNTERS = {
    "retransmittedSegments": "Tcp.RetransSegs",
    "sentSegments": "Tcp.OutSegs",
    "failedAttempts": "Tcp.AttemptFails",
    "resetConnections": "Tcp.EstabResets",
    "sentResets": "Tcp.OutRsts",
    "listenOverflows": "TcpExt.ListenOverflows",
    "listenDrops": "TcpExt.ListenDrops",
    "timeouts": "TcpExt.TCPTimeouts",
    "synRetransmits": "TcpExt.TCPSynRetrans",
    "backlogDrops": "TcpExt.TCPBacklogDrop",
    "abortedForMemory": "TcpExt.TCPAbortOnMemory",
    "udpInDatagrams": "Udp.InDatagrams",
    "udpReceiveBufferErrors": "Udp.RcvbufErrors",
    "udpInErrors": "Udp.InErrors",
}
# Sockets now: the sums of lines of sockstat (IPv4, and TIME_WAIT of both) and sockstat6.
LEVELS = {
    "timeWait": ("TCP.tw",),
    "tcpSockets": ("TCP.inuse", "TCP6.inuse"),
    "udpSockets": ("UDP.inuse", "UDP6.inuse"),
}
