# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a worker logs by the module logging, in the program's: records travel as events, in order with those of the
worker's own."""
import itertools
import logging
import math
import os
import sys
import threading

from ._exceptions import ITEMS_MAX, PLAIN, TEXT_MAX, WORDS_MAX, clean, cut

TAG = "afrpc.log"
FIELDS = {"name": str, "levelno": int, "created": float, "process": int, "processName": str, "thread": int,
          "threadName": str, "taskName": str, "pathname": str, "lineno": int, "funcName": str}
# What a record has by itself, and what formatters give it.
OWN = {*vars(logging.LogRecord("", 0, "", 0, "", (), None)), *dir(logging.LogRecord), "message", "asctime", "taskName"}


def _make_plain(value):
    """What can be sent of a value; of any other its text."""
    if not isinstance(value, PLAIN) or isinstance(value, int) and not -1 << 63 <= value < 1 << 63:
        try:
            value = str(value)
        except Exception:
            value = "<its text cannot be had>"
    return cut(clean(value), TEXT_MAX) if isinstance(value, str) else value


def _get_extra(record):
    """What whoever has logged has given it besides."""
    there = ((name, value) for name, value in vars(record).items() if isinstance(name, str) and name not in OWN)
    return {cut(clean(name), WORDS_MAX): _make_plain(value) for name, value in itertools.islice(there, ITEMS_MAX)}


def get_level(log):
    """Which level log=… stands for; ValueError or TypeError if none."""
    return logging.getLogger().getEffectiveLevel() if log is True else logging.Handler(log).level


class _Sender(logging.Handler):
    """Of the worker. Before it serves, and in other threads than the main one, events cannot be sent: what is logged
    then goes to standard error, unless a handler that a module has set up has it."""

    def _has_another(self, record):
        logger = logging.getLogger(record.name)
        while logger is not None:
            for handler in logger.handlers:
                if not isinstance(handler, (_Sender, logging.NullHandler)) and record.levelno >= handler.level:
                    return True
            logger = logger.parent if logger.propagate else None
        return False

    def _print(self, record):
        if self._has_another(record):
            return
        print(f"{record.levelname}:{record.name}:{self.format(record)}", file=sys.stderr)

    def emit(self, record):
        import afrpc
        from afrpc import _host

        try:
            if not _host.serving or threading.current_thread() is not threading.main_thread():
                self._print(record)
                return
            fields = {name: getattr(record, name, None) for name in FIELDS}
            fields["msg"] = record.getMessage()
            if record.exc_info:
                fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
            if record.stack_info:
                fields["stack_info"] = record.stack_info
            fields = {name: clean(value) if isinstance(value, str) else value for name, value in fields.items()}
            fields["extra"] = _get_extra(record)
            try:
                afrpc.event(afrpc.Tagged(TAG, fields))
            except RuntimeError:  # the loop of an async worker is just being made
                self._print(record)
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


def _set_created(record, created):
    """With what a record derives from it."""
    record.relativeCreated += (created - record.created) * 1000
    record.created = created
    record.msecs = float(int((created - int(created)) * 1000))


def receive(fields):
    """In the program. Nothing that a worker may say is trusted to be what it should be."""
    record = logging.makeLogRecord({"name": "root", "levelno": logging.WARNING, "msg": "", "taskName": None})
    if not isinstance(fields, dict):
        fields = {}
    for name, kind in {**FIELDS, "msg": str, "exc_text": str, "stack_info": str}.items():
        value = fields.get(name)
        if name == "created":
            if isinstance(value, float) and math.isfinite(value):
                _set_created(record, value)
        elif isinstance(value, kind):
            setattr(record, name, value)
    record.levelname = logging.getLevelName(record.levelno)
    record.filename = os.path.basename(record.pathname)
    record.module = os.path.splitext(record.filename)[0]
    extra = fields.get("extra")
    for name, value in extra.items() if isinstance(extra, dict) else ():
        if isinstance(name, str) and name not in OWN and isinstance(value, PLAIN):
            setattr(record, name, value)
    logger = find_logger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
