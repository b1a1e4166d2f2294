# SPDX-License-Identifier: GPL-2.0-or-later
"""The style checks find what they are there for: each violation in a tree of its own."""

import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
import tap  # noqa: E402

SPDX = '/* SPDX-License-Identifier: GPL-2.0-or-later */\n'


def check(name, files):
    """The exit status and output of check-@name.py on a tree of @files."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            file = Path(root) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        done = subprocess.run([sys.executable, TOP / 'scripts' / f'check-{name}.py',
                               '--root', root], stdout=subprocess.PIPE, text=True,
                              check=False)
        return done.returncode, done.stdout


def finds(name, files, text):
    status, out = check(name, files)
    assert status == 1 and text in out, f'{status}: {out}'


def passes(name, files):
    status, out = check(name, files)
    assert status == 0, out


def include(*lines):
    return SPDX + ''.join(f'#include {line}\n' for line in lines)


def test_layers_accepts_downward():
    passes('layers', {'include/util/fd.h': '', 'include/net/pkt.h': '',
                      'hw/net/a.c': include('"net/pkt.h"', '"util/fd.h"', '<stdio.h>')})


def test_layers_upward():
    finds('layers', {'include/hw/net/a.h': '', 'net/tap.c': include('"hw/net/a.h"')},
          'net may not include hw/net')


def test_layers_upward_in_header():
    finds('layers', {'include/net/a.h': '', 'include/util/b.h': include('"net/a.h"')},
          'util may not include net')


def test_layers_sideways():
    finds('layers', {'include/hw/virtio/a.h': '', 'hw/xen/b.c': include('"hw/virtio/a.h"')},
          'hw/xen may not include hw/virtio')


def test_layers_core_knows_no_hardware():
    for folder in ('hw/xen', 'hw/virtio', 'hw/net', 'net', 'qmp'):
        finds('layers', {f'include/{folder}/a.h': '', 'hw/core/b.c': include(f'"{folder}/a.h"')},
              f'hw/core may not include {folder}')


def test_layers_kinds_of_devices_apart():
    for a, b in (('net', 'block'), ('block', 'net')):
        finds('layers', {f'include/hw/{a}/a.h': '', f'hw/{b}/b.c': include(f'"hw/{a}/a.h"')},
              f'hw/{b} may not include hw/{a}')
    finds('layers', {'include/hw/xen/a.h': '', 'hw/virtio/b.c': include('"hw/xen/a.h"')},
          'hw/virtio may not include hw/xen')


def test_layers_system_from_anywhere():
    finds('layers', {'include/system/a.h': '', 'qmp/b.c': include('"system/a.h"')},
          'qmp may not include system')


def test_layers_private_header_of_another():
    finds('layers', {'net/tap-internal.h': '', 'hw/net/b.c': include('"net/tap-internal.h"')},
          'not in include/')


def test_layers_way_up():
    finds('layers', {'net/a.h': '', 'util/b.c': include('"../net/a.h"')}, 'no way up')


def test_layers_libxen():
    for header in ('xenevtchn.h', 'xengnttab.h', 'xencall.h', 'xenstore.h', 'xenctrl.h'):
        finds('layers', {'hw/net/a.c': include(f'<{header}>')}, header)


def test_layers_xen_abi():
    finds('layers', {'net/a.c': include('<xen/io/netif.h>')}, "Xen's interface")
    passes('layers', {'include/hw/xen/netif.h': include('<xen/io/netif.h>')})


def test_layers_tun():
    finds('layers', {'hw/net/a.c': include('<linux/if_tun.h>')}, 'if_tun.h')
    passes('layers', {'net/tap-linux.c': include('<linux/if_tun.h>')})


def test_layers_json():
    finds('layers', {'net/tap.c': include('<json-c/json.h>')}, 'json')
    passes('layers', {'util/options-json.c': include('<json-c/json.h>'),
                      'qmp/a.c': include('<json-c/json.h>')})


def test_layers_xenemu_stands_alone():
    finds('layers', {'include/util/fd.h': '',
                     'subprojects/xenemu/a.c': include('"util/fd.h"')}, 'usable without')


def test_sizes_long_function():
    body = '    x++;\n' * 101
    finds('sizes', {'net/a.c': f'int a(int x)\n{{\n{body}}}\n'}, 'a(): lines: 101')


def test_sizes_data_path_function():
    body = '    x++;\n' * 61
    finds('sizes', {'hw/net/a-tx.c': f'int a(int x)\n{{\n{body}}}\n'}, 'a(): lines: 61')


def test_sizes_nesting():
    deep = ''.join(f'{"    " * i}if (x) {{\n' for i in range(1, 8)) + '}\n' * 7
    finds('sizes', {'net/a.c': f'int a(int x)\n{{\n{deep.replace(chr(10) + "}", chr(10) + "    }")}}}\n'},
          'a(): nesting: 7')


def test_sizes_long_file():
    finds('sizes', {'net/a.c': 'int a;\n' * 1001}, 'lines: 1001')
    finds('sizes', {'include/net/a.h': 'int a;\n' * 301}, 'lines: 301')


def test_sizes_exception():
    passes('sizes', {'net/a.c': 'int a;\n' * 1001,
                     'scripts/size-exceptions.txt': 'net/a.c file 1001 one table\n'})


def test_sizes_exception_of_nothing():
    finds('sizes', {'scripts/size-exceptions.txt': 'net/a.c file 1001 gone\n'},
          'nothing is there')


def test_sizes_warns():
    status, out = check('sizes', {'net/a.c': 'int a;\n' * 701})
    assert status == 0 and 'warning: net/a.c: lines: 701' in out, out


def test_tokens_unsafe_string():
    for call in ('strcpy(a, b)', 'sprintf(a, "b")', 'gets(a)', 'x = atoi(a)'):
        finds('tokens', {'net/a.c': f'{SPDX}void f(void)\n{{\n    {call};\n}}\n'}, 'net/a.c:4')


def test_tokens_printing():
    text = f'{SPDX}void f(void)\n{{\n    printf("x");\n}}\n'
    finds('tokens', {'net/a.c': text}, 'printf')
    passes('tokens', {'system/main.c': text, 'tests/unit/a.c': text})


def test_tokens_sleep():
    finds('tokens', {'hw/net/a.c': f'{SPDX}void f(void)\n{{\n    usleep(1);\n}}\n'}, 'usleep')


def test_tokens_todo():
    mark = 'TO' + 'DO'
    finds('tokens', {'net/a.c': f'{SPDX}/* {mark}: later */\n'}, mark)
    passes('tokens', {'net/a.c': f'{SPDX}/* {mark}(#12): later */\n'})


def test_tokens_in_comment_and_string():
    passes('tokens', {'net/a.c': f'{SPDX}/* no strcpy(a, b) */\n'
                                 'static const char *const a = "sprintf(x)";\n'})


def test_tokens_blanks_and_tabs():
    finds('tokens', {'net/a.c': f'{SPDX}int f(void); \n'}, 'blanks')
    finds('tokens', {'net/a.c': f'{SPDX}\tint a;\n'}, 'spaces')


def test_tokens_machine_path():
    finds('tokens', {'README.md': 'see /wo' + 'rk/x\n'}, 'path')


def test_tokens_global():
    finds('tokens', {'net/a.c': f'{SPDX}static int count;\n'}, 'file-scope')
    passes('tokens', {'net/a.c': f'{SPDX}static const int count = 1;\nstatic int f(void);\n'
                                 'typedef struct A A;\n'})


def test_tokens_allocation_on_data_path():
    text = f'{SPDX}void f(void)\n{{\n    g_free(g_malloc(1));\n}}\n'
    finds('tokens', {'hw/net/xen-netback-tx.c': text}, 'data path')
    passes('tokens', {'hw/net/xen-netback-store.c': text})


def test_tokens_licence():
    finds('tokens', {'net/a.c': 'int f(void);\n'}, 'SPDX')


tap.run(globals())
