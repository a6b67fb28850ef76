# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was meant by an option that calls do not have."""

OPTIONS = ("affinity", "callback", "cancellable", "execution_timeout_ms", "fds", "function", "idempotent", "label", "metadata",
           "on_progress", "priority", "progress_mode", "raw", "result_fds", "signature", "timeout_ms", "wait_for_room")


def describe_unknown(name):
    import difflib

    if name in OPTIONS:
        return f"a call of this kind has no option {name!r}: others have"
    near = difflib.get_close_matches(name, OPTIONS, 1)
    return f"a call has no option {name!r}: " + (f"did you mean {near[0]!r}?" if near else
                                                 "call_kw() and call_kw_sync() pass arguments by name")
