# SPDX-License-Identifier: LGPL-2.1-or-later

# Names modules that a worker need not name.
package Habit;

use AnyEvent::Fork::RPC;
use AnyEvent::Fork::RPC::Sync ();
require AnyEvent::Fork::RPC::Async;

# Without parentheses, because the function is known.
sub run { AnyEvent::Fork::RPC::event "seen", @_; "done" }

1
