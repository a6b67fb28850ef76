# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls by Celery, with Redis, which bench-nats.py compares with those over NATS: tasks for its workers, and a program.

usage: bench_celery.py call DEPTH N
       bench_celery.py death late|early

$BENCH_REDIS is where Redis is. What is printed is what bench-gearman prints, with the process that has begun; "never" if nothing is
heard. Tasks are acknowledged when they begin, as it is by default, or late: then they may be done again."""
import os
import sys
import time

from celery import Celery
from celery.exceptions import TimeoutError, WorkerLostError
from celery.signals import worker_ready

NEVER_S = 20
NAPS = 'bench-naps'

app = Celery('bench_celery', broker=os.environ['BENCH_REDIS'], backend=os.environ['BENCH_REDIS'])
app.conf.update(worker_prefetch_multiplier=16, task_reject_on_worker_lost=True)


@worker_ready.connect
def say_ready(**_):
    sys.__stdout__.write('ready\n')
    sys.__stdout__.flush()


@app.task
def echo(text):
    return text


def nap_some(task):
    """For long, and the second time for as long as elsewhere."""
    is_second = app.backend.client.incr(NAPS) > 1
    task.update_state(state='BEGUN', meta=os.getpid())
    time.sleep(0.1 if is_second else 2 * NEVER_S)


@app.task(bind=True)
def nap_early(task):
    nap_some(task)


@app.task(bind=True, acks_late=True)
def nap_late(task):
    nap_some(task)


def call(depth, n):
    for i in range(0, n, depth):
        for j, result in enumerate([echo.delay(str(k)) for k in range(i, min(i + depth, n))]):
            assert result.get() == str(i + j)


def death(task):
    app.backend.client.delete(NAPS)
    result = task.delay()
    while result.state != 'BEGUN':
        pass
    print('begun', result.info, flush=True)
    try:
        result.get(timeout=NEVER_S)
        outcome = 'done'
    except WorkerLostError:
        outcome = 'failed'
    except TimeoutError:
        outcome = 'never'
    print(f'{time.clock_gettime(time.CLOCK_MONOTONIC):.6f} {outcome}')


def main():
    if sys.argv[1] == 'death':
        death({'early': nap_early, 'late': nap_late}[sys.argv[2]])
        return
    depth, n = map(int, sys.argv[2:])
    call(depth, 200)
    wall, cpu = time.monotonic(), time.process_time()
    call(depth, n)
    print(f'{time.monotonic() - wall:.6f} {time.process_time() - cpu:.6f}')


if __name__ == '__main__':
    sys.modules['bench_celery'] = sys.modules[__name__]
    main()
