# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files the style checks look at, and how they report."""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

SKIP_DIRS = {'.git', '.cache', '__pycache__'}


def tree_files(root):
    """Files of the project below @root, relative: git's list, or what lies there."""
    names = None
    if (root / '.git').exists() and shutil.which('git'):
        listed = subprocess.run(['git', '-C', str(root), 'ls-files', '-co',
                                 '--exclude-standard'], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True, check=False)
        if listed.returncode == 0:
            names = [Path(n) for n in listed.stdout.splitlines()]
    if names is None:
        names = [p.relative_to(root) for p in root.rglob('*') if p.is_file()]
    return sorted(n for n in names if (root / n).is_file()
                  and not SKIP_DIRS & set(n.parts)
                  and not n.parts[0].startswith('build'))


def c_files(root):
    return [n for n in tree_files(root) if n.suffix in ('.c', '.h')]


def parse_root(doc):
    """The only option of all checks: --root, for tests that bring a tree of their own."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument('--root', type=Path, default=Path(__file__).resolve().parents[2])
    return parser.parse_args().root.resolve()


def report(name, errors, warnings=()):
    """Prints what was found; the exit status."""
    for line in warnings:
        print(f'warning: {line}')
    for line in errors:
        print(f'error: {line}')
    print(f'{name}: {len(errors)} errors, {len(warnings)} warnings')
    return 1 if errors else 0


def main(name, doc, check):
    """check(root) gives (errors, warnings)."""
    errors, warnings = check(parse_root(doc))
    sys.exit(report(name, errors, warnings))
