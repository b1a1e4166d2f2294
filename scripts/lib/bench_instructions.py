# SPDX-License-Identifier: GPL-2.0-or-later
"""Instructions that netback's poll functions execute for a packet, counted by callgrind:
a figure that is the same on a busy machine. The guest, Xen and the netdev are made up, and
their part is not counted, nor is libc's. --before FILE compares with what was printed earlier;
with --limit N it fails if a kind of packet got dearer by more than N percent, and names the
stages which did."""
import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
# Each turns counting on or off while it runs: the two on, the others within them off.
TOGGLES = ("bench_tx", "bench_rx", "fuzz_copy", "fuzz_notify", "take_packets", "give_packets")
STAGE_LINE = re.compile(r"^/\* --- (.+?) --- \*/$")


def stages_of(path):
    """What each line of a source belongs to: its section, as a comment heads it, or its file."""
    stages, stage = [None], path.name
    for line in path.read_text(encoding="utf-8").splitlines():
        found = STAGE_LINE.match(line)
        stage = found[1].replace(": ", "-") if found else stage
        stages.append(stage)
    return stages


def is_elsewhere(path):
    """A source of the project, but of another copy of it: a cache of compilers may give that."""
    return not path.is_relative_to(TOP) and any(
        (TOP / Path(*path.parts[-n:])).is_file() for n in (2, 3, 4) if len(path.parts) > n)


class Sources:
    """Of the project; a line of others, as libc's, has no stage."""

    def __init__(self):
        self.known = {}

    def stage(self, name, line):
        if name not in self.known:
            path = Path(os.path.realpath(name))
            if is_elsewhere(path):
                sys.exit(f'bench: the program has lines of {path}, and would count too few: build '
                         'it here, without ccache, or with its hash_dir')
            ours = path.is_relative_to(TOP) and path.is_file()
            sections = path.name.startswith("xen-netback-") and path.suffix == ".c"
            self.known[name] = stages_of(path) if ours and sections else ours and path.name
        stages = self.known[name]
        return stages[line] if isinstance(stages, list) else stages or None


def read_costs(lines, sources):
    """Instructions by stage, out of callgrind's file: what each line executed by itself."""
    costs, source, calls = Counter(), "???", False
    for line in lines:
        if line[:3] in ("fl=", "fi=", "fe="):
            source = line[3:].strip()
        elif line.startswith("calls="):
            calls = True  # the next line is what was called, which has lines of its own
        elif line[:1].isdigit():
            number, cost = line.split()[:2]
            stage = None if calls else sources.stage(source, int(number))
            if stage:
                costs[stage] += int(cost)
            calls = False
    return costs


def count(program, kind, packets, sources):
    """Instructions a packet, by stage."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as out:
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}",
             "--compress-strings=no", "--compress-pos=no",
             *(f"--toggle-collect={name}" for name in TOGGLES), program, kind, str(packets)],
            capture_output=True, text=True)
        costs = read_costs(out, sources)
    if run.returncode != 0 or not costs:
        sys.exit(f"bench: {kind}: valgrind failed ({run.returncode}), or {program} has no lines:\n"
                 f"{run.stderr}")
    return {stage: n / packets for stage, n in costs.items() if n >= packets}


def read_before(path):
    """{kind: {stage or '': instructions}}, and the compiler that it was built with."""
    figures, compiler = {}, None
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            if line.startswith("compiler "):
                compiler = line.split(None, 1)[1].strip()
            elif len(words) >= 2 and words[0][:3] in ("tx-", "rx-"):
                kind, figures[words[0]] = words[0], {"": float(words[1])}
            elif len(words) >= 2 and line.startswith("    "):
                figures[kind][words[0]] = float(words[1])
    return figures, compiler


def compiler_of(program):
    """As its debug information has it."""
    found = re.search(rb"GNU C[0-9]+ [0-9.]+|clang version [0-9.]+", Path(program).read_bytes())
    return found[0].decode() if found else "unknown"


def show(name, now, before, width=26):
    line = f"{name:<{width}} {now:>10.1f}"
    if before is not None:
        line += f" {before:>10.1f} {100 * (now / before - 1):>+6.2f} %" if before else " (new)"
    print(line, flush=True)


def grown(costs, before):
    """The stages that are dearer, the one that costs most first."""
    more = {stage: n - before.get(stage, 0) for stage, n in costs.items()}
    names = sorted((s for s in more if more[s] > 0.05), key=lambda s: -more[s])
    return ", ".join(f"{s} by {more[s]:.1f}" for s in names) or "none by itself"


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench instructions", description=__doc__)
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--packets", type=int, default=2000, metavar="N", help="of each kind")
    parser.add_argument("--before", metavar="FILE", help="an earlier run's output")
    parser.add_argument("--limit", type=float, metavar="N", help="percent, needs --before")
    args = parser.parse_args()
    program = f"{args.build}/tests/bench/instructions"
    before, compiler = read_before(args.before) if args.before else ({}, None)
    kinds = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    print(f"compiler {compiler_of(program)}")
    print(f"{'instructions a packet':<26} {'now':>10}" + ("     before  change" if before else ""))
    worse, sources = [], Sources()
    for kind in kinds:
        costs = count(program, kind, args.packets, sources)
        was = before.get(kind)
        total = sum(costs.values())
        show(kind, total, was and was[""])
        for stage in sorted(costs):
            show(f"    {stage}", costs[stage], was and was.get(stage, 0))
        if was and args.limit is not None and total > was[""] * (1 + args.limit / 100):
            worse.append(f"{kind}: {100 * (total / was[''] - 1):.1f} % more instructions than in "
                         f"{args.before}; by stage: {grown(costs, was)}")
    if worse and compiler != compiler_of(program):
        print(f"another compiler, so nothing to complain about: {compiler} then")
    elif worse:
        sys.exit("\n".join(worse))


if __name__ == "__main__":
    main()
