# SPDX-License-Identifier: LGPL-2.1-or-later

# Says, when its process ends, what has been run of what there is for the end.
package Last;

use strict;
use warnings;

our $object = bless [];
my @kept;

sub DESTROY { print STDOUT "destroyed;" }
END { print STDOUT "ended;" }

# From now on the program may die.
sub ready { AnyEvent::Fork::RPC::event ("ready"); AnyEvent::Fork::RPC::flush () }

my %job = (
   idle => \&ready,
   compute => sub { ready (); 1 while 1 },
   # Nothing wakes this up but a signal.
   sleep => sub { ready (); sleep 1000; print STDOUT "slept;" },
   trap => sub { eval { ready (); sleep 1000 }; print STDOUT "trapped;" },
   read => sub { pipe my $reader, my $writer or die; ready (); sysread $reader, my $text, 1; print STDOUT "read;" },
   wait => sub {
      my $pid = fork // die;
      exec "sleep", 1000 unless $pid;
      $kept[0] = Last::Child->new ($pid);
      ready ();
      waitpid $pid, 0
   },
   brood => sub { my $pid = fork // die; exec "sleep", 1000 unless $pid; ready (); 1 while 1 },
   leave => sub { my ($parent, $pid) = (getppid, fork // die); exec "sleep", 1000 unless $pid; ready (); 1 while getppid == $parent; exit 3 },
   sort => sub { my @sorted = sort { ready (); 1 while 1 } 1 .. 3 },
   object => sub { my $local = bless []; ready (); sleep 1000 },
   handler => sub { local $SIG{TERM} = sub { print STDOUT "TERM;" }; ready (); sleep 1000 },
);

sub Last::Child::new { my ($class, $pid) = @_; bless \$pid, $class }
sub Last::Child::DESTROY { kill KILL => ${$_[0]} }

sub run { my ($name) = @_; $job{$name}->() }

sub run_async
{
   my ($done, $name) = @_;

   push @kept, $done;
   if ($name eq "block") { my $cv = AE::cv (); ready (); $cv->recv }
   elsif ($name eq "keep") { AnyEvent::Fork::RPC::event ("ready") }
   else { $job{$name}->() }
}

1
