#!/usr/bin/env perl
# SPDX-License-Identifier: LGPL-2.1-or-later
# AnyEvent::Fork::RPC, with its synchronous or its asynchronous backend (--variant sync or async).
# Exits with status 77 where the module is not installed.
use strict;
use warnings;

use Getopt::Long;
use Time::HiRes 'clock_gettime', 'CLOCK_MONOTONIC';

BEGIN {
   eval { require AnyEvent::Fork::RPC; 1 }
      or do { print STDERR "AnyEvent::Fork::RPC is not installed\n"; exit 77 };
}
use AnyEvent;
use AnyEvent::Fork;

use constant { WINDOW => 1000, WARM_UP => 100 };

my %option = (workload => 'W1', variant => 'sync', n => 1000);
GetOptions (\%option, 'workload=s', 'variant=s', 'n=i') or exit 2;
my $async = $option{variant} eq 'async';

# Evaluated in the worker. An asynchronous function gets one argument more, to answer with.
my $worker_code = <<'END';
   sub answer {
      my ($method, $text) = @_;
      return $$ if $method eq 'pid';
      if ($method eq 'emit') {
         AnyEvent::Fork::RPC::event (sprintf '%016d', $_) for 0 .. $text - 1;
      }
      return $text;
   }
   sub run_sync { answer (@_) }
   sub run_async { my $done = shift; $done->(answer (@_)) }
END

my $n_events = 0;

sub check {
   my ($what, $got, $number) = @_;
   die "$what $number is wrong: $got\n" unless $got eq sprintf '%016d', $number;
}

# Returns the proxy, and what becomes true when it has ended.
sub start {
   my $destroyed = AE::cv;
   my $rpc = AnyEvent::Fork
      ->new
      ->require ($async ? 'AnyEvent::Fork::RPC::Async' : 'AnyEvent::Fork::RPC::Sync')
      ->eval ($worker_code)
      ->AnyEvent::Fork::RPC::run ($async ? 'run_async' : 'run_sync',
         async      => $async,
         on_event   => sub { check (event => $_[0], $n_events++) },
         on_error   => sub { die "error: $_[0]\n" },
         on_destroy => sub { $destroyed->send },
      );
   return ($rpc, $destroyed);
}

sub calls {
   my ($rpc, $n, $window) = @_;
   my ($sent, $received) = (0, 0);
   my $all = AE::cv;
   my $send;
   my $reply = sub {
      check (reply => $_[0], $received++);
      $send->() if $sent < $n;
      $all->send if $received == $n;
   };
   $send = sub { $rpc->('echo', sprintf ('%016d', $sent++), $reply) };
   $send->() for 1 .. ($window < $n ? $window : $n);
   $all->recv;
   undef $send;
}

sub events {
   my ($rpc, $n) = @_;
   my $all = AE::cv;
   $n_events = 0;
   $rpc->('emit', sprintf ('%016d', $n), sub { check (reply => $_[0], $n); $all->send });
   $all->recv;
   die "$n_events events of $n\n" if $n_events != $n;
}

sub run {
   my ($rpc, $n) = @_;
   return calls ($rpc, $n, 1) if $option{workload} eq 'W1';
   return calls ($rpc, $n, WINDOW) if $option{workload} eq 'W2';
   return events ($rpc, $n) if $option{workload} eq 'W3';
   die "no such workload here: $option{workload}\n";
}

# The clock of a whole process, as clock_getcpuclockid(3) makes it.
sub cpu_seconds { clock_gettime (-8 * ($_[0] + 1) + 2) }

sub private_kb {
   open my $file, '<', "/proc/$_[0]/smaps_rollup" or die "smaps_rollup: $!\n";
   my $kb = 0;
   /^Private_(?:Clean|Dirty): +(\d+)/ and $kb += $1 while <$file>;
   return $kb;
}

sub child_pid {
   my ($rpc) = @_;
   my $pid = AE::cv;
   $rpc->('pid', '', sub { $pid->send ($_[0]) });
   return $pid->recv;
}

sub report {
   my ($value, $unit, @rest) = @_;
   printf '{"peer": "anyevent", "variant": "%s", "workload": "%s", "n": %d, "value": %.4f, '
        . '"unit": "%s"', @option{qw(variant workload n)}, $value, $unit;
   printf ', "seconds": %.4f', shift @rest if @rest;
   printf ', "cpu_parent": %.4f, "cpu_child": %.4f', @rest if @rest;
   print "}\n";
}

# Perl has no sched_setaffinity(2) of its own.
sub pin {
   open my $file, '<', '/proc/self/status' or die "status: $!\n";
   my ($cpu) = map { /^Cpus_allowed_list:.*?(\d+)$/ ? $1 : () } <$file>;
   system ("taskset -cp $cpu $$ >/dev/null") == 0 or die "taskset failed\n";
}

sub measure_spawn {
   my ($n) = @_;
   my $start = clock_gettime (CLOCK_MONOTONIC);
   for (1 .. $n) {
      my ($rpc, $destroyed) = start ();
      calls ($rpc, 1, 1);
      undef $rpc;
      $destroyed->recv;
   }
   my $seconds = clock_gettime (CLOCK_MONOTONIC) - $start;
   report ($n / $seconds, '/s', $seconds);
}

sub measure {
   my ($rpc, $n) = @_;
   my $pid = child_pid ($rpc);
   if ($option{workload} eq 'W6') {
      calls ($rpc, $n, 1);
      return report (private_kb ($pid), 'kB');
   }
   run ($rpc, WARM_UP);
   my @cpu = (cpu_seconds ($$), cpu_seconds ($pid));
   my $start = clock_gettime (CLOCK_MONOTONIC);
   run ($rpc, $n);
   my $seconds = clock_gettime (CLOCK_MONOTONIC) - $start;
   @cpu = map { $_ * 1e6 / $n } cpu_seconds ($$) - $cpu[0], cpu_seconds ($pid) - $cpu[1];
   return report ($seconds * 1e6 / $n, 'us', $seconds, @cpu) if $option{workload} eq 'W1';
   report ($n / $seconds, '/s', $seconds, @cpu);
}

pin () if $option{workload} eq 'W1';
if ($option{workload} eq 'W5') {
   measure_spawn ($option{n});
}
else {
   my ($rpc, $destroyed) = start ();
   measure ($rpc, $option{n});
   undef $rpc;
   $destroyed->recv;
}
