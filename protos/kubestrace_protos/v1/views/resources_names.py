"""The names of the numbers in ResourcesResult: the group, and the field of it in the status."""

# Of what was added. Times in nanoseconds, but for the names that say something else.
GROWN = (
    "cpu.usageNanoseconds",
    "cpu.userNanoseconds",
    "cpu.systemNanoseconds",
    "cpu.periods",
    "cpu.throttledPeriods",
    "cpu.throttledNanoseconds",
    "memory.faults",
    "memory.majorFaults",
    "memory.refaults",
    "memory.highEvents",
    "memory.maxEvents",
    "memory.ooms",
    "memory.oomKills",
    "pressure.cpuSomeNanoseconds",
    "pressure.cpuFullNanoseconds",
    "pressure.memorySomeNanoseconds",
    "pressure.memoryFullNanoseconds",
    "pressure.ioSomeNanoseconds",
    "pressure.ioFullNanoseconds",
    "pids.maxEvents",
)
# Of levels.
LEVELS = (
    "cpu.limitMillicores",
    "memory.limitBytes",
    "memory.currentBytes",
    "memory.peakBytes",
    "memory.workingSetBytes",
    "memory.anonBytes",
    "memory.fileBytes",
    "pids.current",
    "pids.limit",
    "pids.underLimit",
    "limits.openFiles",
)
# Of what was added, and of levels, those that are told by bucket.
GROWN_BY_BUCKET = (
    "cpu.usageNanoseconds",
    "cpu.throttledNanoseconds",
    "memory.majorFaults",
    "memory.refaults",
    "pressure.cpuSomeNanoseconds",
    "pressure.memorySomeNanoseconds",
    "pressure.ioSomeNanoseconds",
)
LEVELS_BY_BUCKET = ("memory.currentBytes", "memory.anonBytes", "memory.fileBytes")
