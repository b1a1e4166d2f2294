# SPDX-License-Identifier: GPL-2.0-or-later
"""The live table of a disk's rings, from their counters as device_table has them."""

MIB = 1 << 20
# With its rows under 80 columns.
HEAD = ('     | from the disk       | to the disk         |          indirect\n'
        'ring | requests/s    MiB/s | requests/s    MiB/s | segments       /s flush/s')


def ring_delta(sample, before, ring):
    """What came since @before, in all that the table shows."""
    new, old = ({(group, name): value for group, counters in s.queues[ring].items()
                 for name, value in counters.items()} if ring < len(s.queues) else {}
                for s in (sample, before))
    change = {key: value - old.get(key, 0) for key, value in new.items()}
    return {
        'read': change['read', 'requests'], 'read bytes': change['read', 'bytes'],
        'written': change['write', 'requests'], 'written bytes': change['write', 'bytes'],
        'segments': change['read', 'segments'] + change['write', 'segments'],
        'indirect': change['read', 'indirect'] + change['write', 'indirect'],
        'flushes': change['flush', 'requests'],
        'failed': sum(change[group, 'failed'] for group in ('read', 'write', 'flush')),
    }


def total(deltas):
    return {name: sum(d[name] for d in deltas) for name in deltas[0]}


def cells(d, seconds):
    requests = d['read'] + d['written']
    return (f'{d["read"] / seconds:10,.0f} {d["read bytes"] / seconds / MIB:8,.1f} | '
            f'{d["written"] / seconds:10,.0f} {d["written bytes"] / seconds / MIB:8,.1f} | '
            f'{d["segments"] / requests if requests else 0:8.1f} '
            f'{d["indirect"] / seconds:8,.0f} {d["flushes"] / seconds:7,.1f}')


def rows(sample, before):
    """The table's lines: its head, one a ring, and the sum of all."""
    seconds = max(sample.time - before.time, 1e-6)
    deltas = [ring_delta(sample, before, ring) for ring in range(len(sample.queues))]
    lines = HEAD.split('\n') + [f'{ring:>4} | {cells(d, seconds)}'
                                for ring, d in enumerate(deltas)]
    return lines + ([f' all | {cells(total(deltas), seconds)}'] if deltas else [])
