# SPDX-License-Identifier: LGPL-2.1-or-later

# Functions that take file descriptors and give some back, tell how far they are, and look whether they are cancelled.
# Those of the async backend do the same with their callback in front.
package Files;

use strict;
use warnings;

use Afrpc;

my %kept;

sub text_of { my ($fh) = @_; local $/; my $text = <$fh>; $text }

sub pipe_with
{
   pipe my $reader, my $writer or die "pipe: $!\n";
   print $writer @_;
   close $writer;
   $reader
}

# The handles of the call, the last first, and for each a descriptor with its text in capitals.
sub swap
{
   my ($call, @handles) = @_;

   map { Afrpc::append_fd (@$call, pipe_with (uc text_of (Afrpc::steal_fd (@$call, $_)))) } reverse @handles
}

my %job = (
   swap => \&swap,
   both => sub {
      my ($call, $handle) = @_;
      my $socket = Afrpc::steal_fd (@$call, $handle);
      defined Afrpc::steal_fd (@$call, $handle) ? "twice" : "once"
   },
   none => sub { my ($call, @handles) = @_; map { defined Afrpc::steal_fd (@$call, $_) ? "some" : "none" } @handles },
   number => sub { my ($call) = @_; open my $file, "<", "/dev/null" or die; Afrpc::append_fd (@$call, fileno $file) },
   standard => sub { my ($call) = @_; Afrpc::append_fd (@$call, *STDIN), Afrpc::append_fd (@$call, \*STDIN) },
   # What is in its buffer has to be written before what the program does.
   buffered => sub {
      my ($call) = @_;
      open my $file, "+>", undef or die "$!";
      print $file "buffered";
      Afrpc::append_fd (@$call, $file)
   },
   mixed => sub { my ($call) = @_; ("text", Afrpc::append_fd (@$call, *STDIN), undef, Afrpc::append_fd (@$call, *STDIN), 1) },
   nested => sub { my ($call) = @_; [{ fd => Afrpc::append_fd (@$call, *STDIN) }] },
   closed => sub { my ($call) = @_; open my $file, "<", "/dev/null"; close $file; Afrpc::append_fd (@$call, $file) },
   memory => sub { my ($call) = @_; open my $file, "<", \"text"; Afrpc::append_fd (@$call, $file) },
   word => sub { my ($call) = @_; Afrpc::append_fd (@$call, "no such handle") },
   usage => sub { my ($call) = @_; Afrpc::append_fd (@$call, *STDIN, *STDIN) },
   many => sub { my ($call) = @_; Afrpc::append_fd (@$call, *STDIN) for 1 .. 254 },
   progress => sub { my ($call, @values) = @_; Afrpc::progress (@$call, $_) for @values, [1, undef]; "over" },
   wait => sub {
      my ($call) = @_;
      AnyEvent::Fork::RPC::event ("waiting");
      select undef, undef, undef, 0.001 until Afrpc::is_cancelled (@$call);
      AnyEvent::Fork::RPC::event ("noticed");
      "too late"
   },
   metadata => sub { my ($call) = @_; Afrpc::metadata (@$call) },
   "event" => sub {
      my ($call, @texts) = @_;
      AnyEvent::Fork::RPC::event ("files", map { Afrpc::append_event_fd (pipe_with ($_)) } @texts);
      AnyEvent::Fork::RPC::event ("none");
      "sent"
   },
   # What has been appended goes with an event that fails.
   "bad-event" => sub {
      my ($call) = @_;
      my $got = "";
      $got .= eval { AnyEvent::Fork::RPC::event (Afrpc::append_event_fd (*STDIN), sub {}); "none" } // $@;
      $got .= eval { AnyEvent::Fork::RPC::event (map { Afrpc::append_event_fd (*STDIN) } 1 .. 254); "none" } // $@;
      $got .= eval { Afrpc::append_event_fd (*STDIN, 1); "none" } // $@;
      opendir my $dir, "/proc/self/fd" or die;
      AnyEvent::Fork::RPC::event ("after");
      $got, 20 > scalar (() = readdir $dir) ? "few" : "many"
   },
   fine => sub { my ($call) = @_; Afrpc::is_cancelled (@$call) ? "cancelled" : "fine" },
);

# A call brings a file, and takes another one home.
sub first_line
{
   my ($handle) = @_;

   my $file = Afrpc::steal_fd ($handle) or die "no file has come with the call\n";
   my $line = <$file>;
   open my $empty, "<", "/dev/null" or die "/dev/null: $!\n";

   ($line, Afrpc::append_fd ($empty))
}

# The same in the async backend.
sub first_line_async
{
   my ($done, $handle) = @_;

   my $file = Afrpc::steal_fd ($done, $handle) or die "no file has come with the call\n";
   my $line = <$file>;
   open my $empty, "<", "/dev/null" or die "/dev/null: $!\n";

   $done->($line, Afrpc::append_fd ($done, $empty));
}

sub run { my ($name, @arguments) = @_; $job{$name}->([], @arguments) }

sub run_async
{
   my ($done, $name, @arguments) = @_;

   if ($name eq "wait") {
      AnyEvent::Fork::RPC::event ("waiting");
      $kept{timer} = AE::timer (0, 0.001, sub {
         Afrpc::is_cancelled ($done) or return;
         delete $kept{timer};
         AnyEvent::Fork::RPC::event ("noticed");
         $done->("too late");
      });
   }
   elsif ($name eq "answered") {
      $done->("first");
      $kept{errors} = join "", map { eval { $_->(); "none" } // $@ }
         sub { Afrpc::steal_fd ($done, 0) }, sub { Afrpc::append_fd ($done, *STDIN) }, sub { Afrpc::progress ($done, 1) },
         sub { Afrpc::is_cancelled ($done) }, sub { Afrpc::progress (1) };
   }
   elsif ($name eq "errors") { $done->($kept{errors}) }
   else { $done->($job{$name}->([$done], @arguments)) }
}

1
