# SPDX-License-Identifier: LGPL-2.1-or-later

# Code that is sent to a worker, where it is in package main.
use AnyEvent;

sub count_up {
   my ($done, $limit, $seconds) = @_;
   my ($n, $timer) = 0;

   AnyEvent::Fork::RPC::event "to $limit";
   $timer = AE::timer $seconds, $seconds, sub {
      AnyEvent::Fork::RPC::event ++$n . " of $limit";
      if ($n == $limit) {
         undef $timer;
         $done->($limit);
      }
   };
}
