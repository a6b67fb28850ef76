# SPDX-License-Identifier: LGPL-2.1-or-later
# The worker in Perl. What each of its kind does is said in cases.txt.
use strict;
use warnings;

my %action = (
   echo => sub { $_[0] },
   events => sub { AnyEvent::Fork::RPC::event ("$_") for 0 .. $_[0] - 1; "sent" },
   exit => sub { exit $_[0] },
   fail => sub { die "$_[0]\n" },
   # It cannot be cancelled, so it is told by a FIFO, which opens when somebody opens the other end.
   wait => sub {
      AnyEvent::Fork::RPC::event ("waiting");
      AnyEvent::Fork::RPC::flush ();
      open my $fifo, "<", $_[0] or die "$_[0]: $!\n";
      "waited"
   },
);

sub act { my ($what, $value) = @_; $action{$what}->($value) }

sub act_async { my ($done, $what, $value) = @_; $done->($action{$what}->($value)) }

1
