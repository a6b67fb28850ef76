# SPDX-License-Identifier: LGPL-2.1-or-later
"""Callers over NATS in Python: what a proxy has, a caller has, too."""
import gi
from gi.module import get_introspection_module
from gi.overrides import override

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc  # noqa: E402 # whose overrides have what is shared
from gi.overrides.Afrpc import _Callable, _Ranged, _wait  # noqa: E402

from afrpc import Tagged  # noqa: E402

AfrpcNats = get_introspection_module("AfrpcNats")

__all__ = ["Caller", "Connection", "Server"]


class Caller(_Callable, AfrpcNats.Caller):
    def __init__(self, *args, default=None, hook=None, arrays=None, on_event=None, **kwargs):
        super(_Callable, self).__init__(*args, **kwargs)
        self._is_closed = False
        self.connect("destroyed", Caller._destroyed_cb)
        if default or hook or arrays:
            self.set_hooks(default=default, hook=hook, arrays=arrays)
        if on_event is not None:
            self.on_event(on_event)

    @classmethod
    def new(cls, connection, subject):
        """Makes a caller of those who serve a subject."""
        return cls(connection=connection, subject=subject)

    def __repr__(self):
        return f"<AfrpcNats.Caller of {self.get_subject()}{', closed' if self._is_closed else ''}>"

    @staticmethod
    def _destroyed_cb(self):
        self._is_closed = True

    def get_process(self):
        """Its workers are those of others: it has no process."""
        return None

    def is_closed(self):
        """Whether no call can be made any more."""
        return self._is_closed

    def _pack_keywords(self, keywords):
        # Which host the workers have that serve, is not known: one that is none of Python refuses it.
        return Tagged("afrpc.keywords", keywords)

    def close(self):
        """Has everything that was called executed, and then ends the caller."""
        self._is_closed = True
        super().close()

    def kill(self):
        """Gives up all calls."""
        self._is_closed = True
        super().kill()


Caller = override(Caller)


class Connection(_Ranged, AfrpcNats.Connection):
    def close_async(self, cancellable=None, callback=None, *user_data):
        """Closes the connection; without a callback returns a PendingCall to be awaited."""
        if callback is not None:
            return super().close_async(cancellable, callback, *user_data)
        return _wait(super().close_async, self.close_finish, cancellable)


Connection = override(Connection)


class Server(_Ranged, AfrpcNats.Server):
    def stop_async(self, cancellable=None, callback=None, *user_data):
        """Stops once the calls that there are have their outcomes; without a callback returns a PendingCall to be awaited."""
        if callback is not None:
            return super().stop_async(cancellable, callback, *user_data)
        return _wait(super().stop_async, self.stop_finish, cancellable)


Server = override(Server)
