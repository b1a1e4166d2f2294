# SPDX-License-Identifier: GPL-2.0-or-later
"""The live table of a NIC's queues, from their counters as device_table has them."""

import shutil
import sys

DIRECTIONS = ('tx', 'rx')
COUNTERS = ('packets', 'bytes', 'batches', 'events-sent', 'events-received')


def drops(stats):
    return sum(v for k, v in stats.items() if k.startswith('drop'))


def delta(sample, before, queue, direction):
    """What came since @before, in all that the table shows."""
    new = sample.queues[queue][direction]
    old = (before.queues[queue][direction] if queue < len(before.queues)
           else dict.fromkeys(new, 0))
    found = {name: new[name] - old.get(name, 0) for name in COUNTERS}
    found['drops'] = drops(new) - drops(old)
    return found


def cells(found, seconds):
    """packets/s, Gbit/s, packets per batch, events per packet, drops."""
    packets, batches = found['packets'], found['batches']
    events = found['events-sent'] + found['events-received']
    return (f'{packets / seconds:9,.0f} {found["bytes"] * 8 / seconds / 1e9:6.3f} '
            f'{packets / batches if batches else 0:5.1f} '
            f'{events / packets if packets else 0:5.3f} {found["drops"]:5}')


# With its rows under 80 columns.
HEAD = ('      | guest to host (tx)                 | host to guest (rx)\n'
        'queue | packets/s Gbit/s p/bat e/pkt drops '
        '| packets/s Gbit/s p/bat e/pkt drops')


def add(a, b):
    return {k: a[k] + b[k] for k in a}


def rows(sample, before):
    """The table's lines: its head, one a queue, and the sum of all."""
    seconds = max(sample.time - before.time, 1e-6)
    total = None
    lines = HEAD.split('\n')
    for queue in range(len(sample.queues)):
        deltas = [delta(sample, before, queue, d) for d in DIRECTIONS]
        total = [add(t, d) for t, d in zip(total, deltas)] if total else deltas
        lines.append(f'{queue:>5} | ' + ' | '.join(cells(d, seconds) for d in deltas))
    if total:
        lines.append(f'{"all":>5} | ' + ' | '.join(cells(d, seconds) for d in total))
    return lines


class Screen:
    """Draws over the last table where that is possible, else writes on. @columns: what is written
    gets to a terminal of so many by ways of its own."""

    def __init__(self, out=sys.stdout, columns=None):
        self.out = out
        self.columns = columns
        self.live = out.isatty() or columns is not None
        self.height = 0

    def show(self, title, lines):
        text = [title, *lines]
        if self.live:
            # a line that the terminal wraps would be two to go up over
            columns = self.columns or shutil.get_terminal_size().columns
            text = [line[:columns] for line in text]
        if self.live and self.height:
            self.out.write(f'\x1b[{self.height}A\x1b[J')
        self.out.write('\n'.join(text) + '\n')
        if not self.live:
            self.out.write('\n')
        self.height = len(text)
        self.out.flush()
