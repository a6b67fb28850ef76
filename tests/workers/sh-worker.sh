# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
greet () { printf 'Hello, %s!\n' "$1"; }
fail () { echo "no $1" >&2; return 3; }
slow () { echo $$ > "$1"; exec sleep 1000; }
