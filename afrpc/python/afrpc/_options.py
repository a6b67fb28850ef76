# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was meant by an option that there is not."""

OPTIONS = ("affinity", "callback", "cancellable", "execution_timeout_ms", "fds", "function", "idempotent", "label", "metadata",
           "on_progress", "priority", "progress_mode", "raw", "result_fds", "signature", "timeout_ms", "wait_for_room")


def suggest(name, names):
    """A question; "" if none is similar."""
    import difflib

    near = difflib.get_close_matches(name, names, 1)
    return f"did you mean {near[0]!r}?" if near else ""


def describe_unknown(name):
    if name in OPTIONS:
        return f"a call of this kind has no option {name!r}: others have"
    return f"a call has no option {name!r}: " + (suggest(name, OPTIONS) or "call_kw() and call_kw_sync() pass arguments by name")
