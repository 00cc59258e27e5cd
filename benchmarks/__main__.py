"""``make bench``: every figure beside a floor measured in the same run. ``make bench`` runs all, ``python -m benchmarks NAME`` one."""

import sys

from benchmarks import agent, live, reading, sync

BENCHMARKS = {"sync": sync.run, "reading": reading.run, "live": live.run, "agent": agent.run}


def main() -> int:
    wanted = sys.argv[1:] or list(BENCHMARKS)
    for name in wanted:
        if name not in BENCHMARKS:
            print(f"no benchmark {name}; there are {', '.join(BENCHMARKS)}")
            return 2
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
