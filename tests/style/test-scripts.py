# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scripts say and refuse, and what HACKING.md says of them."""

import importlib.util
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
sys.path.insert(0, str(TOP / 'scripts' / 'lib'))
import tap  # noqa: E402

HACKING = ' '.join((TOP / 'HACKING.md').read_text().split())


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem.replace('-', '_'), path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_hacking_has_the_sizes():
    sizes = module(TOP / 'scripts' / 'check-sizes.py')
    files, functions, data = sizes.FILE_LIMITS, sizes.FUNCTION, sizes.DATA_PATH_FUNCTION
    text = (f'warns above {files[".c"][0]} lines of a source, {files[".h"][0]} of a header, '
            f'{functions[0]} of a function ({data[0]} on a data path) and refuses more than '
            f'{files[".c"][1]}, {files[".h"][1]}, {functions[1]} ({data[1]})')
    assert text in HACKING, text
    assert f'{sizes.LINE[0]} columns if it goes and {sizes.LINE[1]} at most' in HACKING
    assert f'ColumnLimit: {sizes.LINE[1]}\n' in (TOP / '.clang-format').read_text()


def test_hacking_has_the_places_of_globals():
    tokens = module(TOP / 'scripts' / 'check-tokens.py')
    rule = re.search(r'No mutable variables at file scope [^*]*', HACKING)[0]
    for place in tokens.GLOBAL_OK:
        if place not in tokens.TESTS:
            assert f'`{place.rstrip("*")}`' in rule, (place, rule)


tap.run(globals())
