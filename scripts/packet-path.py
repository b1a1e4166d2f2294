#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints the poll functions of the source into docs/devel/packet-path.rst.

With --check it only compares, for the test: the drawing must not go stale."""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
DOC = TOP / 'docs' / 'devel' / 'packet-path.rst'
# .. source: FILE FUNCTION, and what stands between it and ".. end"
BLOCK = re.compile(r'^(\.\. source: (\S+) (\w+)\n).*?^(\.\. end\n)', re.M | re.S)


def function(path, name):
    """A function with the comment above it: our style has its braces in column 0."""
    text = (TOP / path).read_text()
    found = re.search(rf'^(?:/\*(?:(?!\*/).)*?\*/\n)?\w[^\n;]*\b{name}\([^;{{]*\n\{{\n.*?^\}}\n',
                      text, re.M | re.S)
    if not found:
        sys.exit(f'packet-path: no function {name}() in {path}')
    return found[0]


def block(match):
    head, path, name, end = match.groups()
    code = function(path, name)
    lines = ['    ' + line if line else '' for line in code.rstrip('\n').split('\n')]
    return f'{head}\n``{path}``::\n\n' + '\n'.join(lines) + f'\n\n{end}'


def main():
    old = DOC.read_text()
    new = BLOCK.sub(block, old)
    if '--check' in sys.argv[1:]:
        if old != new:
            sys.exit('docs/devel/packet-path.rst is not as the source: run '
                     'scripts/packet-path.py and commit')
        print(f'{len(BLOCK.findall(old))} functions are as in the source')
    elif old != new:
        DOC.write_text(new)
        print(f'{DOC.relative_to(TOP)} is written anew')


if __name__ == '__main__':
    main()
