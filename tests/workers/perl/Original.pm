# SPDX-License-Identifier: LGPL-2.1-or-later

# Looks at what a worker that was written for AnyEvent::Fork::RPC may look at.
package Original;

use strict;
use warnings;
use FindBin ();

# Before events can be sent there is a declaration, but no function.
our @early = (defined &AnyEvent::Fork::RPC::event ? 1 : 0, exists &AnyEvent::Fork::RPC::event ? 1 : 0);
my $event = \&AnyEvent::Fork::RPC::event;
*alias = \&AnyEvent::Fork::RPC::event;

my (@init, $returned);

sub init
{
   @init = (defined &AnyEvent::Fork::RPC::event ? 1 : 0, (caller 0)[0], $0, $@, scalar @ARGV, @_);
   eval { AnyEvent::Fork::RPC::event ("early") };
   push @init, $@;
}

{
   package Original::Text;
   use overload '""' => sub { "text" };

   package Original::Last;
   sub DESTROY { eval { AnyEvent::Fork::RPC::event ("destroyed"); 1 } or print STDERR $@ }
}

my %job = (
   early => sub { @early },
   init => sub { @init },
   defined => sub { defined &AnyEvent::Fork::RPC::event ? "defined" : "undefined" },
   event => sub { AnyEvent::Fork::RPC::event "a", "b"; $event->("c"); alias ("d"); &$event; scalar @_ },
   returned => sub { map { defined $_ ? "<$_>" : "undef" } AnyEvent::Fork::RPC::event (), AnyEvent::Fork::RPC::flush () },
   retire => sub { AnyEvent::Fork::Pool::retire (); AnyEvent::Fork::RPC::event ("after"); "retired" },
   caller => sub { my @from = caller 1; @from[0, 3], defined $from[5] && $from[5] ? "list" : "other" },
   error => sub { $@ },
   "kept-error" => sub {
      eval { die "kept\n" };
      AnyEvent::Fork::RPC::event (bless ([], "Original::Text"), [1]);
      open my $file, "<", "/dev/null";
      $@
   },
   "set-error" => sub { eval { die "left\n" }; $@ },
   name => sub { $0 },
   loaded => sub { map { exists $INC{$_} ? 1 : 0 } "common/sense.pm", "AnyEvent/Fork/Serve.pm", "AnyEvent/Fork/RPC/Sync.pm" },
   stderr => sub { -p STDERR ? "pipe" : "other" },
   bin => sub { $FindBin::Bin ne "" ? "found" : "lost" },
   undef => sub { (undef, "x", undef) },
   references => sub { map { s/0x[0-9a-f]+/0x/r } [], {}, sub { }, \*STDIN, \1, *STDIN, bless ({}, "Original::Plain"), qr/x/ },
   "bare-references" => sub { ([], {}, sub { }, \*STDIN, \1, *STDIN, bless ({}, "Original::Plain"), bless ([], "Original::Text"), 1.5) },
   mute => sub { require Jobs; bless {}, "Jobs::Mute" },
   count => sub { scalar @_ },
   many => sub { (undef) x $_[0] },
   title => sub { $0 = $_[0]; $0 },
   "local-title" => sub { local $0 = $_[0]; title () },
   "title-is" => sub { title () },
   last => sub { $returned = bless [], "Original::Last"; 1 },
   exit => sub { exit 3 },
   parent => sub { getppid },
   thread => sub { require threads; threads->create (sub { eval { AnyEvent::Fork::RPC::event (1); 1 } ? "sent" : $@ })->join },
);

# What ps shows, and what top shows.
sub title
{
   open my $file, "<", "/proc/self/cmdline" or die;
   my $title = join "", <$file>;
   open $file, "<", "/proc/self/comm" or die;
   chomp (my $name = <$file>);
   $title =~ s/\0\z//;
   ($title, $name)
}

sub done { AnyEvent::Fork::RPC::event ("done") }

sub run { my ($name, @arguments) = @_; $job{$name}->(@arguments) }

my @threads;

sub run_async
{
   my ($done, $name, @arguments) = @_;

   if ($name eq "returned") {
      my @event = AnyEvent::Fork::RPC::event ();
      my @done = $done->("once");
      $returned = join ",", scalar @event, scalar @done, $event[0] && $done[0] ? "true" : "false";
   }
   elsif ($name eq "returned-was") { $done->($returned) }
   elsif ($name eq "thread") {
      require threads;
      my $said = threads->create (sub { eval { $done->("by a thread"); 1 } ? "answered" : $@ })->join;
      $done->($said);
   }
   # The thread ends with its copy of the callback, while the call is open.
   elsif ($name eq "thread-open") {
      require threads;
      threads->create (sub { 1 })->join;
      push @threads, $done;
      AnyEvent::Fork::RPC::event ("open");
   }
   elsif ($name eq "answer-open") { $_->("late") for splice @threads; $done->("all") }
   else { $done->(run ($name, @arguments)) }
}

END { eval { AnyEvent::Fork::RPC::event ("ended"); 1 } or print STDERR $@ if $returned }

1
