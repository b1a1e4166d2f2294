# SPDX-License-Identifier: GPL-2.0-or-later
"""What netback costs with 1, 8 and 64 queues, each with a thread of its own, and with 8 vifs of 8:
instructions of its poll functions for a packet, counted by callgrind, which are the same on a busy
machine; and what a queue of a connected vif takes: its own memory, pages granted to ourselves,
threads, file descriptors. The same of blkback and the block layer, for a request, with 1 and 4
rings of 1 and 8 disks. Guests, Xen and netdevs are made up; the guests', Xen's, the netdevs' and
the kernel's instructions are not counted. The exit status is 1 if a packet of any kind costs more
than --limit percent more with 64 queues than with one, or a request more than --disk-limit percent
more with 4 rings of 8 disks."""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench_instructions import Sources, read_costs

MANY = 64
PAGE_KB = 4


class Bench(NamedTuple):
    """What is counted of which program: its output's lines are a kind and a number of things."""
    program: str
    words: tuple      # its first arguments; shape and rounds follow
    toggles: tuple    # each turns counting on or off while it runs: some on, those within them off
    shapes: dict      # devices, queues of each; the first one is compared with...
    many: str         # ...this one
    queues: int       # so many have their round: of 64, each 4 times
    thing: str


NET = Bench(
    program="growth", words=("packets",), thing="packet", queues=256, many="64",
    toggles=("netback_tx_poll", "netback_rx_poll", "host_gnttab_copy", "ops_xenemu_evtchn_notify",
             "take_packets", "give_packets"),
    shapes={"1": (1, 1), "8": (1, 8), "64": (1, MANY), "8x8": (8, 8)})
# The shapes' names have the rings of a disk first, then the disks.
DISK = Bench(
    program="growth-disk", words=(), thing="request", queues=32, many="4x8",
    toggles=("blkback_request_poll", "blkback_respond", "ring_done", "here_run",
             "block_request_finished",
             "host_gnttab_copy", "host_gnttab_map", "host_gnttab_unmap",
             "ops_xenemu_evtchn_notify"),
    shapes={"1": (1, 1), "4": (1, 4), "1x8": (8, 1), "4x8": (8, 4)})


class BenchError(Exception):
    """What it says is for the user."""


def run(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"{Path(command[0]).name} failed ({done.returncode}):\n{done.stderr}")
    return done.stdout.splitlines()


def count(build, bench, shape, sources):
    """{kind: instructions a thing}; there is a file of callgrind's for each kind, in order."""
    figures = {}
    devices, queues = shape
    program = build / "tests/bench" / bench.program
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        lines = run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                     "--compress-strings=no", "--compress-pos=no", "--zero-before=kind_begins",
                     "--dump-after=kind_done",
                     *(f"--toggle-collect={name}" for name in bench.toggles),
                     program, *bench.words, devices, queues, bench.queues // (devices * queues)])
        for number, line in enumerate(lines, 1):
            kind, things = line.split()
            with open(f"{out}.{number}", encoding="utf-8") as costs:
                total = sum(read_costs(costs, sources).values())
            if not total:
                raise BenchError(f"{kind}: {program} has no lines, or none was counted")
            figures[kind] = total / int(things)
    return figures


def usage(program, queues):
    """{what: how much more of it there is than before the vif was connected}"""
    words = run([program, "memory", queues])[-1].split()
    return {what: int(n) for what, n in zip(words[::2], words[1::2])}


def of_a_queue(one, many):
    """What the others of MANY queues take, each: what a vif has once is in neither."""
    return {what: (many[what] - one[what]) / (MANY - 1) for what in one}


def show_growth(bench, figures):
    """Returns the dearest kind's ratio of many queues to one."""
    ratio_of = f"{bench.many}/1"
    print(f"{'instructions a ' + bench.thing:<22}" +
          "".join(f"{shape:>9}" for shape in figures) + f"{ratio_of:>9}")
    worst = 0.0
    for kind in figures["1"]:
        ratio = figures[bench.many][kind] / figures["1"][kind]
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


def grows(build, bench, sources):
    return show_growth(bench, {name: count(build, bench, shape, sources)
                               for name, shape in bench.shapes.items()})


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench growth", description=__doc__)
    parser.add_argument("--build", required=True, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=float, default=3, metavar="N", help="percent, default 3")
    parser.add_argument("--disk-limit", type=float, default=5, metavar="N",
                        help="percent, default 5")
    args = parser.parse_args()
    program = args.build / "tests/bench" / NET.program
    sources = Sources()
    try:
        net = grows(args.build, NET, sources)
        each = show_usage(usage(program, 1), usage(program, MANY))
        print()
        disk = grows(args.build, DISK, sources)
    except BenchError as error:
        sys.exit(f"bench: {error}")
    memory = each["memory-kb"] + each["granted-pages"] * PAGE_KB
    print(f"growth instructions-64/1={net:.2f} memory-a-queue={memory:.0f} KB "
          f"fds-a-queue={each['fds']:.0f}")
    print(f"growth disk-instructions-4x8/1={disk:.2f}")
    sys.exit(net > 1 + args.limit / 100 or disk > 1 + args.disk_limit / 100)


if __name__ == "__main__":
    main()
