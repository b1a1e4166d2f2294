#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every shell script of the tree is clean for shellcheck.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
command -v shellcheck >/dev/null || {
    echo "skipped: shellcheck is not installed"
    exit 77
}
cd "$top"
find . -name .git -prune -o -name 'build*' -prune -o -name __pycache__ -prune -o -type f -print |
    while read -r file; do
        if head -n 1 "$file" | grep -aqE '^#!.*\b(sh|bash)$'; then
            echo "$file"
        fi
    done | sort | xargs -r shellcheck -x -S warning
