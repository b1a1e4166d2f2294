# SPDX-License-Identifier: GPL-2.0-or-later
"""Instructions that netback's poll functions execute for a packet, counted by callgrind:
a figure that is the same on a busy machine. The guest, Xen and the netdev are made up, and
their part is not counted. --before FILE compares with what was printed earlier."""
import argparse
import re
import subprocess
import sys

# Each turns counting on or off while it runs: the two on, the others within them off.
TOGGLES = ("bench_tx", "bench_rx", "fuzz_copy", "fuzz_notify", "take_packets", "give_packets")


def count(program, kind, packets):
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
         *(f"--toggle-collect={name}" for name in TOGGLES), program, kind, str(packets)],
        capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or not found or found[1] == "0":
        sys.exit(f"bench: {kind}: valgrind failed ({run.returncode}):\n{run.stderr}")
    return int(found[1]) / packets


def read_before(path):
    figures = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            if len(words) >= 2 and words[0][:3] in ("tx-", "rx-"):
                figures[words[0]] = float(words[1])
    return figures


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench instructions", description=__doc__)
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--packets", type=int, default=2000, metavar="N", help="of each kind")
    parser.add_argument("--before", metavar="FILE", help="an earlier run's output")
    args = parser.parse_args()
    program = f"{args.build}/tests/bench/instructions"
    before = read_before(args.before) if args.before else {}
    kinds = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    print(f"{'instructions a packet':<22} {'now':>10}" + ("     before  change" if before else ""))
    for kind in kinds:
        now = count(program, kind, args.packets)
        line = f"{kind:<22} {now:>10.1f}"
        if kind in before:
            line += f" {before[kind]:>10.1f} {100 * (now / before[kind] - 1):>+6.2f} %"
        print(line, flush=True)


if __name__ == "__main__":
    main()
