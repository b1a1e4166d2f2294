# SPDX-License-Identifier: GPL-2.0-or-later
"""The Test Anything Protocol for tests in Python: run(module) runs its test_* functions."""

import sys
import traceback


class Skip(Exception):
    """Raised by a test that cannot run here; its text is the reason."""


def run(namespace):
    tests = [(n, f) for n, f in namespace.items() if n.startswith('test_') and callable(f)]
    failed = 0
    print(f'1..{len(tests)}')
    for number, (name, function) in enumerate(tests, 1):
        title = name[len('test_'):].replace('_', '-')
        try:
            function()
        except Skip as why:
            print(f'ok {number} {title} # SKIP {why}')
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()
            failed += 1
            print(f'not ok {number} {title}')
        else:
            print(f'ok {number} {title}')
        sys.stdout.flush()
    sys.exit(1 if failed else 0)
