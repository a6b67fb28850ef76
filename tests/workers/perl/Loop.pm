# SPDX-License-Identifier: LGPL-2.1-or-later

# Functions of the async backend that wait by AnyEvent, which is not loaded here: the backend has it.
package Loop;

use strict;
use warnings;

our (%watcher, @log);

my %job = (
   model => sub { my ($done) = @_; AE::now (); $done->($AnyEvent::MODEL) },
   after => sub {
      my ($done, $seconds, @result) = @_;
      $watcher{$done} = AnyEvent->timer (after => $seconds, cb => sub { delete $watcher{$done}; $done->(@result) });
   },
   # An event loop's descriptor, at the same time as the calls.
   read => sub {
      my ($done) = @_;
      pipe my $reader, my $writer or die $!;
      $watcher{$done} = AE::io ($reader, 0, sub {
         sysread $reader, my $text, 100;
         delete $watcher{$done};
         $done->($text);
      });
      $watcher{writer} = AE::timer (0, 0, sub { syswrite $writer, "through a pipe" });
   },
   block => sub { my ($done) = @_; my $cv = AE::cv (); my $w = AE::timer (0.01, 0, $cv); $cv->recv; $done->("waited") },
   "block-inside" => sub {
      my ($done) = @_;
      $watcher{$done} = AE::timer (0, 0, sub {
         my $cv = AE::cv ();
         my $w = AE::timer (0.01, 0, $cv);
         $cv->recv;
         $done->("waited inside");
      });
   },
   signal => sub {
      my ($done) = @_;
      $watcher{$done} = AE::signal (USR1 => sub { delete $watcher{$done}; $done->("signal") });
      kill USR1 => $$;
   },
   child => sub {
      my ($done) = @_;
      my $pid = fork // die;
      POSIX::_exit (5) unless $pid;
      $watcher{$done} = AE::child ($pid, sub { delete $watcher{$done}; $done->($_[1] >> 8) });
   },
   # Right before the loop waits.
   prepare => sub {
      my ($done, $what) = @_;
      my $answer = {
         answer => sub { $done->("prepared") },
         event => sub { AnyEvent::Fork::RPC::event ("prepared"); $watcher{kept} = $done },
         drop => sub { undef $done },
      }->{$what};
      $watcher{$done} = EV::prepare (sub { delete $watcher{$done}; $answer->() });
   },
   # Times that the loop goes round in the time.
   turns => sub {
      my ($done, $seconds) = @_;
      my $n = 0;
      $watcher{prepare} = EV::prepare (sub { $n++ });
      $watcher{$done} = AE::timer ($seconds, 0, sub { delete $watcher{prepare}; $done->($n) });
   },
   # The same while a function waits, and calls arrive that nobody reads meanwhile.
   "turns-inside" => sub {
      my ($done, $seconds) = @_;
      my $n = 0;
      my $count = EV::prepare (sub { $n++ });
      my $cv = AE::cv ();
      my $timer = AE::timer ($seconds, 0, $cv);
      AnyEvent::Fork::RPC::event ("inside");
      AnyEvent::Fork::RPC::flush ();
      $cv->recv;
      $done->($n);
   },
   ev => sub { my ($done) = @_; $watcher{$done} = EV::timer (0.01, 0, sub { $done->("by EV") }) },
   die => sub { my ($done) = @_; $watcher{$done} = AE::timer (0, 0, sub { delete $watcher{$done}; undef $done; die "inside\n" }) },
   exit => sub { @watcher{"kept", "exit"} = ($_[0], AE::timer (0, 0, sub { exit 9 })) },
   return => sub { my ($done, @result) = @_; $done->(@result) },
);

sub run
{
   my ($done, $name, @arguments) = @_;

   ($job{$name} // die "no job $name\n")->($done, @arguments);
}

# Lives on after the last call.
sub done { $watcher{exit} = AE::timer (0.01, 0, sub { exit 8 }) }

sub init_ticker { my $n = 0; $watcher{ticker} = AE::timer (0.01, 0.01, sub { AnyEvent::Fork::RPC::event ("tick") if $n++ < 3 }) }

use POSIX ();

1
