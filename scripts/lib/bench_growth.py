# SPDX-License-Identifier: GPL-2.0-or-later
"""What netback costs with 1, 8 and 64 queues, each with a thread of its own, and with 8 vifs of 8:
instructions of its poll functions for a packet, counted by callgrind, which are the same on a busy
machine; and what a queue of a connected vif takes: its own memory, pages granted to ourselves,
threads, file descriptors. Guests, Xen and netdevs are made up; the guests', Xen's and the netdevs'
instructions are not counted. The exit status is 1 if a packet of any kind costs more than --limit
percent more with 64 queues than with one."""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_instructions import Sources, read_costs

# Each turns counting on or off while it runs: the two on, the others within them off.
TOGGLES = ("netback_tx_poll", "netback_rx_poll", "host_gnttab_copy", "ops_xenemu_evtchn_notify",
           "take_packets", "give_packets")
SHAPES = {"1": (1, 1), "8": (1, 8), "64": (1, 64), "8x8": (8, 8)}  # vifs, queues of each
QUEUES = 256  # so many have their round: of 64 queues each 4 times
MANY = 64
PAGE_KB = 4


class BenchError(Exception):
    """What it says is for the user."""


def run(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"{Path(command[0]).name} failed ({done.returncode}):\n{done.stderr}")
    return done.stdout.splitlines()


def count(program, vifs, queues, rounds, sources):
    """{kind: instructions a packet}; there is a file of callgrind's for each kind, in order."""
    figures = {}
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        lines = run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                     "--compress-strings=no", "--compress-pos=no", "--dump-after=kind_done",
                     *(f"--toggle-collect={name}" for name in TOGGLES),
                     program, "packets", vifs, queues, rounds])
        for number, line in enumerate(lines, 1):
            kind, packets = line.split()
            with open(f"{out}.{number}", encoding="utf-8") as costs:
                total = sum(read_costs(costs, sources).values())
            if not total:
                raise BenchError(f"{kind}: {program} has no lines, or none was counted")
            figures[kind] = total / int(packets)
    return figures


def usage(program, queues):
    """{what: how much more of it there is than before the vif was connected}"""
    words = run([program, "memory", queues])[-1].split()
    return {what: int(n) for what, n in zip(words[::2], words[1::2])}


def of_a_queue(one, many):
    """What the others of MANY queues take, each: what a vif has once is in neither."""
    return {what: (many[what] - one[what]) / (MANY - 1) for what in one}


def show_packets(figures):
    """Returns the dearest kind's ratio of 64 queues to one."""
    print(f"{'instructions a packet':<22}" + "".join(f"{shape:>9}" for shape in figures) +
          "     64/1")
    worst = 0.0
    for kind in figures["1"]:
        ratio = figures["64"][kind] / figures["1"][kind]
        worst = max(worst, ratio)
        print(f"{kind:<22}" + "".join(f"{figures[s][kind]:>9.1f}" for s in figures) +
              f"{ratio:>9.3f}")
    return worst


def show_usage(one, many):
    """Returns what a queue takes."""
    each = of_a_queue(one, many)
    print(f"\n{'of a vif':<22}{'1':>9}{'64':>9}{'a queue':>9}")
    for what, n in each.items():
        print(f"{what:<22}{one[what]:>9}{many[what]:>9}{n:>9.1f}")
    return each


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench growth", description=__doc__)
    parser.add_argument("--build", required=True, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=float, default=3, metavar="N", help="percent, default 3")
    args = parser.parse_args()
    program = args.build / "tests/bench/growth"
    sources = Sources()
    try:
        worst = show_packets({name: count(program, *shape, QUEUES // (shape[0] * shape[1]), sources)
                              for name, shape in SHAPES.items()})
        each = show_usage(usage(program, 1), usage(program, MANY))
    except BenchError as error:
        sys.exit(f"bench: {error}")
    memory = each["memory-kb"] + each["granted-pages"] * PAGE_KB
    print(f"growth instructions-64/1={worst:.2f} memory-a-queue={memory:.0f} KB "
          f"fds-a-queue={each['fds']:.0f}")
    sys.exit(worst > 1 + args.limit / 100)


if __name__ == "__main__":
    main()
