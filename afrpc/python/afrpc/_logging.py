# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a worker logs by the module logging, in the program's: records travel as events, in order with those of the
worker's own."""
import logging
import sys
import threading

from ._exceptions import clean

TAG = "afrpc.log"
FIELDS = ("name", "levelno", "created", "process", "processName", "threadName", "pathname", "lineno", "funcName")


class _Sender(logging.Handler):
    """Of the worker. Before it serves, and in other threads than the main one, events cannot be sent: what is logged
    then goes to standard error."""

    def emit(self, record):
        import afrpc
        from afrpc import _host

        try:
            if not _host.serving or threading.current_thread() is not threading.main_thread():
                print(f"{record.levelname}:{record.name}:{self.format(record)}", file=sys.stderr)
                return
            fields = {name: getattr(record, name) for name in FIELDS}
            fields["msg"] = record.getMessage()
            if record.exc_info:
                fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
            if record.stack_info:
                fields["stack_info"] = record.stack_info
            afrpc.event(afrpc.Tagged(TAG, {name: clean(value) if isinstance(value, str) else value
                                           for name, value in fields.items()}))
        except Exception:
            self.handleError(record)


def start(level):
    """In the worker, before anything else is loaded."""
    root = logging.getLogger()
    root.addHandler(_Sender())
    root.setLevel(level)


def find_logger(name):
    """The logger of that name, or else the one above it: a worker cannot make new ones, which would stay for ever."""
    known = logging.Logger.manager.loggerDict
    while name and not isinstance(known.get(name), logging.Logger):
        name = name.rpartition(".")[0]
    return logging.getLogger(name or None)


def receive(fields):
    """In the program. Nothing that a worker may say is trusted to be what it should be."""
    record = logging.makeLogRecord({"name": "root", "levelno": logging.WARNING, "msg": ""})
    for name, kind in (("name", str), ("msg", str), ("levelno", int), ("created", float), ("process", int),
                       ("processName", str), ("threadName", str), ("pathname", str), ("lineno", int), ("funcName", str),
                       ("exc_text", str), ("stack_info", str)):
        value = fields.get(name) if isinstance(fields, dict) else None
        if isinstance(value, kind):
            setattr(record, name, value)
    record.levelname = logging.getLevelName(record.levelno)
    logger = find_logger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
