# SPDX-License-Identifier: GPL-2.0-or-later
"""A table of any device's counters, as rates, from what QMP query-devices gives."""

import time

import vif_table

# What the table of a NIC shows, made of these.
PACKETS = {*vif_table.COUNTERS}


def by_name(items, value):
    return {item['name']: value(item) for item in items}


class Sample:
    """The counters of a device at one moment: queues[N][GROUP][COUNTER]."""

    def __init__(self, device):
        self.time = time.monotonic()
        self.id = device['id']
        self.title = f'{self.id}: {device["class"]}, {device["state"]}'
        self.queues = [by_name(q['groups'], lambda g: by_name(g['counters'], lambda c: c['value']))
                       for q in device['queues']]
        if device.get('error'):
            self.title += f' ({device["error"]})'

    def carries_packets(self):
        return all(PACKETS <= set(q.get(direction, ())) for q in self.queues
                   for direction in vif_table.DIRECTIONS)


class Table:
    """Of one class: which groups and counters it has is seen in its devices."""

    def __init__(self, sample):
        self.groups = list(sample.queues[0])
        self.counters = list(dict.fromkeys(name for group in sample.queues[0].values()
                                           for name in group))
        self.group_width = max(map(len, ['group', *self.groups]))
        self.widths = [max(len(name) + 2, 11) for name in self.counters]

    def head(self):
        cells = [f'{name + "/s":>{width}}' for name, width in zip(self.counters, self.widths)]
        return f' queue {"group":>{self.group_width}} | ' + ' '.join(cells)

    def row(self, queue, group, rates):
        cells = [f'{rates[name]:>{width},.0f}' if name in rates else ' ' * width
                 for name, width in zip(self.counters, self.widths)]
        return f' {queue:>5} {group:>{self.group_width}} | ' + ' '.join(cells)


def lines(sample, before):
    """What there is to show of a device: a head and rows of rates."""
    if not sample.queues:
        return []
    if sample.carries_packets():
        return vif_table.rows(sample, before)
    seconds = max(sample.time - before.time, 1e-6)
    table = Table(sample)
    out = [table.head()]
    for number, queue in enumerate(sample.queues):
        old = before.queues[number] if number < len(before.queues) else {}
        for group, counters in queue.items():
            was = old.get(group, {})
            out.append(table.row(number, group, {name: (value - was.get(name, 0)) / seconds
                                                 for name, value in counters.items()}))
    return out
