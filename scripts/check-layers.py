#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may include what (docs/devel/architecture.rst): fails on an include that leads
upward or sideways, and on a third party's header outside the file it belongs to."""

import re
import sys
from fnmatch import fnmatch
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / 'lib'))
import source  # noqa: E402

# A directory and those whose headers its files may include, besides its own.
LAYERS = {
    'util': [],
    'net': ['util'],
    'block': ['util'],
    'hw/core': ['util'],
    'hw/pci': ['hw/core', 'util'],
    'hw/xen': ['hw/core', 'util'],
    'hw/virtio': ['hw/pci', 'hw/core', 'util'],
    'hw/net': ['hw/xen', 'hw/virtio', 'hw/pci', 'hw/core', 'net', 'util'],
    'hw/block': ['hw/xen', 'hw/virtio', 'hw/core', 'block', 'util'],
    'migration': ['util'],
    'qmp': ['util'],
    'qtest': ['hw/xen', 'hw/core', 'util'],
    'system': ['qmp', 'qtest', 'migration', 'hw/net', 'hw/block', 'hw/xen', 'hw/virtio', 'hw/pci',
               'hw/core', 'net', 'block', 'util'],
}

# Third parties: header pattern, the files that may include it, and why not others.
# Tests are clients of these interfaces in their own right.
TESTS = ['tests/*', 'subprojects/xenemu/tests/*']
THIRD_PARTIES = [
    (['xenevtchn.h', 'xengnttab.h', 'xencall.h', 'xentoollog.h', 'xentoolcore.h'],
     ['hw/xen/ops-libxen*.c'],
     'event channels and grants go through XenOps (include/hw/xen/xen-ops.h)'),
    (['xenstore.h', 'xs.h', 'xenstore_lib.h', 'xs_lib.h'],
     ['hw/xen/xen-store.c', *TESTS],
     'XenStore goes through include/hw/xen/xen-store.h'),
    (['xenctrl.h', 'xenctrl_compat.h', 'xenforeignmemory.h', 'xendevicemodel.h',
      'libxl*.h', 'xenguest.h', 'xenhypfs.h'],
     ['hw/xen/domain-libxen.c', 'tests/xen/lib/*'],
     'their ABI changes with each Xen release'),
    (['xen/*'], ['include/hw/xen/*.h', 'hw/xen/*', 'subprojects/xenemu/*'],
     "Xen's interface comes through include/hw/xen/"),
    (['linux/if_tun.h'], ['net/tap*.c', 'tests/*'], 'the tap is behind include/net/tap.h'),
    (['linux/vhost.h'], ['hw/virtio/vhost-kernel.c', 'tests/*'],
     'vhost-net is behind include/hw/virtio/vhost-kernel.h'),
    (['linux/vhost_types.h'], ['hw/virtio/*'], 'vhost belongs to hw/virtio'),
    (['json-c/*', 'json.h'], ['util/options*', 'util/json*', 'qmp/*', 'tests/*'],
     'modules see neither argv nor JSON'),
    (['liburing.h'], ['net/*', 'block/*', 'util/io-ring.c', 'tests/*'],
     'only the ends of the host side do such I/O'),
    (['libnbd.h'], ['block/nbd*'], 'servers of images are behind include/block/block.h'),
]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
# Headers outside include/ that a directory offers: the emulated Xen host's public one.
XENEMU = 'subprojects/xenemu'
XENEMU_USERS = ['hw/xen/*', 'qtest/*', 'system/*', 'tests/*', f'{XENEMU}/*']


def layer_of(path):
    """The layer that a file, or a header named as in #include, belongs to."""
    name = path.as_posix()
    name = name[len('include/'):] if name.startswith('include/') else name
    for layer in sorted(LAYERS, key=len, reverse=True):
        if name.startswith(layer + '/'):
            return layer
    return None


def matches(path, patterns):
    return any(fnmatch(path.as_posix(), p) for p in patterns)


def check_third_party(path, header):
    for patterns, users, why in THIRD_PARTIES:
        if any(fnmatch(header, p) for p in patterns):
            if not matches(path, users):
                return f'<{header}> is for {" ".join(users)} only: {why}'
            return None
    return None


def is_xenemu(root, header):
    return any((root / XENEMU / d / header).exists() for d in ('include', '.'))


def check_own(root, path, header):
    """An #include "header" of @path: None, or what is wrong."""
    if '..' in Path(header).parts:
        return f'"{header}": no way up; a shared header lives in include/'
    if (root / path.parent / header).exists() and '/' not in header:
        return None
    top = path.parts[0]
    if path.as_posix().startswith(XENEMU + '/'):
        if is_xenemu(root, header) or (root / XENEMU / 'src' / header).exists():
            return None
        if top == 'subprojects':
            return f'"{header}": xenemu is usable without the rest of the project'
    if is_xenemu(root, header):
        if matches(path, XENEMU_USERS):
            return None
        return f'"{header}": the emulated host is for {" ".join(XENEMU_USERS)} only'
    if top == 'tests':
        return None
    target = layer_of(Path(header))
    if target is None:
        return f'"{header}": not beside the source and in no directory of include/'
    if not (root / 'include' / header).exists():
        return f'"{header}": not in include/ (a private header is included by bare name)'
    own = layer_of(path)
    if own is None:
        return f'{path.parts[0]}/ is no directory of the layers'
    if target != own and target not in LAYERS[own]:
        return f'"{header}": {own} may not include {target}'
    return None


def check(root):
    errors = []
    for path in source.c_files(root):
        text = (root / path).read_text(errors='replace')
        for match in INCLUDE.finditer(text):
            kind, header = match.groups()
            line = text.count('\n', 0, match.start()) + 1
            wrong = check_third_party(path, header)
            if not wrong and kind == '"':
                wrong = check_own(root, path, header)
            if not wrong and kind == '<' and (root / 'include' / header).exists():
                wrong = f'<{header}>: the project\'s own headers are included with quotes'
            if wrong:
                errors.append(f'{path}:{line}: {wrong}')
    return errors, []


if __name__ == '__main__':
    source.main('check-layers', __doc__, check)
