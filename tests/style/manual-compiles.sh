#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The documents are well-formed: the man page for man(1), the others for docutils.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
rst=""
for name in rst2pseudoxml rst2pseudoxml.py; do
    if [ -x "/usr/bin/$name" ]; then
        rst=/usr/bin/$name
    elif [ -x "/usr/share/docutils/scripts/python3/$name" ]; then
        rst=/usr/share/docutils/scripts/python3/$name
    fi
done
[ -n "$rst" ] || {
    echo "skipped: python3-docutils is not installed"
    exit 77
}
find "$top/docs" -name '*.rst' | sort | while read -r file; do
    "$rst" --report=2 --exit-status=2 "$file" >/dev/null || {
        echo "not well-formed: $file"
        exit 1
    }
done
