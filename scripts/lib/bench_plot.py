# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/bench plot: results of scripts/bench xen as bars, FILE.svg beside each FILE.json."""

import argparse
import json
import sys
from pathlib import Path
from xml.sax.saxutils import escape

COLORS = {'ringtap': '#2b6cb0', 'netback': '#8a8a8a', 'qemu': '#d9822b'}
TITLES = {'Mbit/s': 'TCP, Mbit/s', 'packets/s': 'UDP, packets a second that arrive',
          'rounds/s': 'Round trips a second'}
WIDTH, LEFT, RIGHT = 760, 250, 70
BAR, GAP, HEAD = 11, 7, 34
# Arguments that tell one boot from another; the others say what is measured, and how long.
TELLING = ('queues=', 'vcpus=', 'streams=', 'tags=', 'ipv6=', 'grant-copy=')


def label(record):
    words = [w for w in record['command'].split() if w.startswith(TELLING)]
    return ' '.join([record['case'], *words, record['direction']])


def panels(records):
    """{unit: {label: {backend: value}}}, in the order of the file."""
    units = {}
    for record in records:
        group = units.setdefault(record['unit'], {}).setdefault(label(record), {})
        group[record['backend']] = record['value']
    return units


def text(x, y, words, more=''):
    return f'<text x="{x}" y="{y}"{more}>{escape(words)}</text>'


def panel(out, y, unit, groups):
    """One unit's groups of bars, all by one scale; returns where the next one begins."""
    scale = (WIDTH - LEFT - RIGHT) / max(v for g in groups.values() for v in g.values())
    out.append(text(10, y + 20, TITLES.get(unit, unit), ' font-weight="bold"'))
    y += HEAD
    for name, group in groups.items():
        middle = y + len(group) * BAR / 2 + 4
        out.append(text(LEFT - 8, f'{middle:.0f}', name, ' text-anchor="end"'))
        for backend, value in group.items():
            color = COLORS.get(backend, '#444444')
            out.append(f'<rect x="{LEFT}" y="{y}" width="{value * scale:.1f}" '
                       f'height="{BAR - 1}" fill="{color}"/>')
            out.append(text(f'{LEFT + value * scale + 4:.1f}', y + BAR - 2, f'{value:,.0f}',
                            ' font-size="9"'))
            y += BAR
        y += GAP
    return y + GAP


def legend(out, records):
    x = LEFT
    for backend in dict.fromkeys(r['backend'] for r in records):
        out.append(f'<rect class="legend" x="{x}" y="10" width="10" height="10" '
                   f'fill="{COLORS.get(backend, "#444444")}"/>')
        out.append(text(x + 14, 19, backend))
        x += 90


def draw(records):
    """The picture: a panel a unit, a group of bars a case and direction, a bar a backend."""
    out = []
    y = 28
    legend(out, records)
    for unit, groups in panels(records).items():
        y = panel(out, y, unit, groups)
    machine = ', '.join(dict.fromkeys(f'Linux {r["kernel"]}, Xen {r["xen"]}' for r in records))
    out.append(text(10, y + 8, machine + '; tx: from the guest', ' font-size="9"'))
    return '\n'.join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 18}" '
        'font-family="sans-serif" font-size="11">',
        '<rect class="paper" width="100%" height="100%" fill="white"/>', *out, '</svg>', ''])


def load(path):
    records = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    if not records:
        raise ValueError('no results in it')
    return records


def main():
    parser = argparse.ArgumentParser(
        prog='scripts/bench plot',
        description='Draws results of scripts/bench xen as bars: FILE.svg for each FILE.json.')
    parser.add_argument('files', nargs='+', type=Path, metavar='FILE.json')
    for path in parser.parse_args().files:
        try:
            path.with_suffix('.svg').write_text(draw(load(path)))
            print(f'bench: {path.with_suffix(".svg")}')
        except (OSError, ValueError, KeyError) as error:
            what = f'no field {error}' if isinstance(error, KeyError) else error
            sys.exit(f'bench: {path}: {what}')


if __name__ == '__main__':
    main()
