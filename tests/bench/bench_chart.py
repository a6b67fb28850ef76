# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws what run-bench.py has measured, as SVG: how many times dearer than the floor each peer is, on a scale of powers
of ten, with the spread of the rounds. Calls are compared by the CPU time of both processes: with both on one CPU,
that is the time of a call, and it depends less than that on who else uses the machine."""

import math
from xml.sax.saxutils import escape

PANELS = (
    ('W1', 'CPU time of a call, one at a time (floor: two C programs, a socket pair, poll)'),
    ('W2', 'CPU time of a call, up to 1000 in flight (floor: as above, batched)'),
    ('W3', 'CPU time of an event (floor: as above, batched)'),
    ('W4-1M', 'CPU time of 1 MiB there and back (floor: read and write)'),
    ('W5', 'CPU time of a worker that is started, called once and ended (floor: posix_spawn of a small C program)'),
)

# (peer, variant): how it is called; those that are not listed are not drawn.
NAMES = {
    ('afrpc', 'sync'): 'afrpc, sync worker',
    ('afrpc', 'async'): 'afrpc, async worker',
    ('afrpc', 'sync-fork'): 'afrpc, forked worker',
    ('afrpc', 'buffer'): 'afrpc, shared memory',
    ('sd-bus', ''): 'sd-bus',
    ('gdbus', 'loop'): 'GDBus',
    ('gdbus', ''): 'GDBus',
    ('jsonrpc-glib', 'json'): 'jsonrpc-glib',
    ('zeromq', ''): 'ZeroMQ',
    ('zeromq', 'copy'): 'ZeroMQ',
    ('capnproto', ''): "Cap'n Proto",
    ('glib', ''): 'GLib by hand',
    ('python', 'pipe'): 'multiprocessing.Pipe',
    ('python', 'executor'): 'ProcessPoolExecutor',
    ('anyevent', 'sync'): 'AnyEvent::Fork::RPC',
    ('spawn', 'fork-server'): 'bare fork server',
}

WIDTH, LABEL, RIGHT = 760, 190, 70
ROW, BAR, HEAD, GAP = 18, 11, 26, 14
RATIO_MIN, RATIO_MAX = 0.1, 5000
OURS, OTHERS, INK, LINE = '#1a7f64', '#8a94a6', '#3b4252', '#c8ccd4'


def place(ratio):
    """Where a ratio is, from left to right."""
    ratio = min(max(ratio, RATIO_MIN), RATIO_MAX)
    part = math.log(ratio / RATIO_MIN) / math.log(RATIO_MAX / RATIO_MIN)
    return LABEL + part * (WIDTH - LABEL - RIGHT)


def text(x, y, what, anchor='start', size=12, weight='normal'):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
            f'fill="{INK}">{escape(what)}</text>')


def shown(row):
    """The ratio to the floor, and that of each round."""
    if row['cpu_ratios']:
        return row['cpu_over_floor'], row['cpu_ratios']
    return row['over_floor'], row['floor_ratios']


def draw_row(row, y):
    middle, (ratio, spread) = y + ROW / 2, shown(row)
    x, one = place(ratio), place(1)
    colour = OURS if row['peer'] == 'afrpc' else OTHERS
    low, high = place(min(spread)), place(max(spread))
    return [
        text(LABEL - 8, middle + 4, NAMES[row['peer'], row['variant']], 'end'),
        f'<rect x="{min(x, one):.1f}" y="{middle - BAR / 2:.1f}" width="{max(abs(x - one), 1):.1f}" height="{BAR}" fill="{colour}"/>',
        f'<path d="M{low:.1f} {middle:.1f}H{high:.1f}M{low:.1f} {middle - 3:.1f}v6M{high:.1f} {middle - 3:.1f}v6" '
        f'stroke="{INK}" fill="none"/>',
        text(max(x, one, high) + 6, middle + 4, f'{ratio:.3g}' if ratio < 1000 else f'{ratio:.0f}', size=11),
    ]


def draw_panel(title, rows, y):
    lines = [text(0, y + 16, title, size=13, weight='bold')]
    y += HEAD
    bottom = y + len(rows) * ROW
    for power in range(math.ceil(math.log10(RATIO_MIN)), math.floor(math.log10(RATIO_MAX)) + 1):
        x = place(10 ** power)
        lines.append(f'<path d="M{x:.1f} {y}V{bottom}" stroke="{INK if power == 0 else LINE}"/>')
    for i, row in enumerate(rows):
        lines += draw_row(row, y + i * ROW)
    return lines, bottom + GAP


def draw(results, path):
    y, body = 0, []
    for workload, title in PANELS:
        rows = [row for row in results['results'] if row['workload'] == workload and
                (row['peer'], row['variant']) in NAMES and row['floor_ratios']]
        rows.sort(key=lambda row: shown(row)[0])
        if rows:
            lines, y = draw_panel(title, rows, y)
            body += lines
    note = (f'Times dearer than the floor, which is 1; less is better. Medians and extremes of {results["rounds"]} rounds'
            + (', on a busy machine.' if results['load'] > results['cpus'] else '.'))
    body.append(text(0, y + 10, note, size=11))
    y += 20
    with open(path, 'w') as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="-8 0 {WIDTH + 8} {y}" '
                   f'font-family="sans-serif">\n<rect x="-8" width="{WIDTH + 8}" height="{y}" fill="white"/>\n'
                   + '\n'.join(body) + '\n</svg>\n')
