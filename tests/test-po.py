#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every message of the command is translated into every language that there is.

usage: test-po.py SOURCE-TREE
"""
import pathlib
import subprocess
import sys
import tempfile

root = pathlib.Path(sys.argv[1])
languages = (root / 'po' / 'LINGUAS').read_text().split()
failed = not languages

with tempfile.TemporaryDirectory() as folder:
    template = pathlib.Path(folder) / 'afrpc.pot'
    subprocess.run(['xgettext', f'--directory={root}', f'--files-from={root}/po/POTFILES.in', f'--output={template}',
                    '--from-code=UTF-8', '--keyword=_', '--keyword=N_', '--keyword=C_:1c,2', '--keyword=ngettext:1,2',
                    '--keyword=g_dngettext:2,3'], check=True)
    assert 'msgid "' in template.read_text()
    for language in languages:
        done = subprocess.run(['msgcmp', root / 'po' / f'{language}.po', template])
        failed |= done.returncode != 0
        # Formats that do not fit together, among other things
        done = subprocess.run(['msgfmt', '--check', '--output-file=/dev/null', root / 'po' / f'{language}.po'])
        failed |= done.returncode != 0

sys.exit(failed)
