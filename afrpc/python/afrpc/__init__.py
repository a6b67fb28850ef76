# SPDX-License-Identifier: LGPL-2.1-or-later
"""Workers of afrpc in Python, and what they share with programs.

The functions of this module are for a worker: a function that its program calls. Programs use
`gi.repository.Afrpc`, and afrpc.aio to run asyncio on the main context of GLib.
"""
from ._afrpc import (Invocation, Variant, append_result_fd, event, flush, get_args, get_metadata,
                     get_n_fds, is_cancelled, progress, steal_call_fd, steal_fd)

__all__ = ["Error", "Invocation", "Variant", "append_result_fd", "event", "flush", "get_args",
           "get_metadata", "get_n_fds", "is_cancelled", "progress", "steal_call_fd", "steal_fd"]


class Error(Exception):
    """An error that reaches the program as a GError of this domain and code."""

    def __init__(self, message, domain="afrpc-error-quark", code=0):
        super().__init__(message)
        self.message = message
        self.domain = domain
        self.code = code
