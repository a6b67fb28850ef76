# SPDX-License-Identifier: LGPL-2.1-or-later
# The worker in Perl. What each of its kind does is said in cases.txt.
package main;

use strict;
use warnings;

my %action = (
   echo => sub { $_[0] },
   events => sub { AnyEvent::Fork::RPC::event ("$_") for 0 .. $_[0] - 1; "sent" },
   exit => sub { exit $_[0] },
   fail => sub { die "$_[0]\n" },
   # It cannot be cancelled, so it is told by a file.
   wait => sub {
      AnyEvent::Fork::RPC::event ("waiting");
      AnyEvent::Fork::RPC::flush ();
      select undef, undef, undef, 0.002 until -e $_[0];
      "waited"
   },
);

sub act { my ($what, $value) = @_; $action{$what}->($value) }

sub act_async { my ($done, $what, $value) = @_; $done->($action{$what}->($value)) }

1
