# SPDX-License-Identifier: LGPL-2.1-or-later

# What the tests call: the first argument names what is done with the others.
package Jobs;

use strict;
use warnings;

our (@start, @kept, %job);

{
   package Jobs::Text;
   use overload '""' => sub { "text of $_[0]{name}" };

   package Jobs::Mute;
   use overload '""' => sub { die "no text\n" };

   package Jobs::Tied;
   sub TIESCALAR { bless [] }
   sub TIEARRAY { bless [] }
   sub TIEHASH { bless [] }
   sub FETCH { "fetched " . ($_[1] // "it") }
   sub FETCHSIZE { 2 }
   sub FIRSTKEY { "key" }
   sub NEXTKEY { undef }

   package Jobs::Trap;
   sub TIESCALAR { bless [] }
   sub TIEARRAY { bless [] }
   sub FETCH { die "a trap\n" }
   sub FETCHSIZE { 1 }

   package Jobs::Brief;
   sub DESTROY { }

   package Jobs::Last;
   sub DESTROY { print STDOUT "destroyed;" }
}

sub nested
{
   my ($depth, $what) = @_;
   my $value = 1;

   $value = $what eq "array" ? [$value] : { in => $value } for 1 .. $depth;
   $value
}

sub count_down { my ($n) = @_; no warnings "recursion"; $n ? 1 + count_down ($n - 1) : 0 }

%job = (
   echo => sub { @_ },
   flat => sub { @{ $_[0] } },
   what => sub { map { !defined ? "undef" : ref || "'$_'" } @_ },
   nested => \&nested,
   cycle => sub { my $self = []; push @$self, $self; $self },
   context => sub { wantarray ? "list" : "other" },
   object => sub { bless { name => "it" }, "Jobs::Text" },
   "mute-object" => sub { bless {}, "Jobs::Mute" },
   "plain-object" => sub { bless {}, "Jobs::Plain" },
   "brief-object" => sub { bless [], "Jobs::Brief" },
   regex => sub { qr/a.c/i },
   match => sub { "some text" =~ /(t.*)/; AnyEvent::Fork::RPC::event ($1); $1 },
   number => sub { my $n = 5; AnyEvent::Fork::RPC::event ($n); require B; B::svref_2object (\$n)->FLAGS & B::SVf_POK () },
   code => sub { sub { } },
   glob => sub { \*STDIN },
   tied => sub { tie my $s, "Jobs::Tied"; tie my @a, "Jobs::Tied"; tie my %h, "Jobs::Tied"; ([\$s, $s]->[1], \@a, \%h) },
   trap => sub { tie my $s, "Jobs::Trap"; { x => [\$s]->[0] } },
   "tied-trap" => sub { tie my $s, "Jobs::Trap"; AnyEvent::Fork::RPC::event ($s); 1 },
   "tied-array-trap" => sub { tie my @a, "Jobs::Trap"; \@a },
   wide => sub { "\x{263a}" },
   "wide-key" => sub { { "\x{263a}" => 1 } },
   "latin-key" => sub { { "\xe9" => 1 } },
   "utf8-key" => sub { { "\xc3\xa9" => 1 } },
   upgraded => sub { my $s = "\xe9"; utf8::upgrade ($s); $s },
   "wide-event" => sub { eval { AnyEvent::Fork::RPC::event ("\x{263a}"); 1 } ? "sent" : $@ },
   zeros => sub { "\0" x $_[0] },
   length => sub { length $_[0] },
   depth => sub { count_down (@_) },
   die => sub { die @_ },
   "die-line" => sub { die "@_\n" },
   "die-wide" => sub { die "\x{263a}\n" },
   "die-latin" => sub { die "\xe9\n" },
   "die-zero" => sub { die "a\0b\n" },
   "die-object" => sub { die bless { name => "it" }, "Jobs::Text" },
   "die-mute" => sub { die bless {}, "Jobs::Mute" },
   "die-plain" => sub { die bless {}, "Jobs::Plain" },
   "die-inside" => sub { eval { die "inner\n" }; "survived $@" },
   exit => sub { exit $_[0] },
   "event-and-exit" => sub { AnyEvent::Fork::RPC::event ("last"); exit $_[0] },
   "end-status" => sub { $kept[0] = $_[0]; exit 0 },
   kill => sub { kill $_[0], $$; sleep 60 },
   # The 60 seconds stand for a function that takes too long.
   alarm => sub {
      require Time::HiRes;
      local $SIG{ALRM} = sub { die "too slow\n" };
      Time::HiRes::alarm (0.01);
      select undef, undef, undef, 60;
      "too late"
   },
   fork => sub {
      my ($how) = @_;
      my $pid = fork // die;
      return ("child waited", $?) if $pid && waitpid $pid, 0;
      exit 4 if $how eq "exit";
      die "child\n" if $how eq "die";
      AnyEvent::Fork::RPC::event ("child") if $how eq "event";
      "child"
   },
   system => sub { my $said = `echo said`; $said .= system "exit 3;"; $said },
   perl => sub { my $said = `$^X -e 'print "this is Perl"'`; $said },
   pid => sub { $$ },
   handler => sub { my $how = $_[0]; $SIG{USR2} = sub { AnyEvent::Fork::RPC::event ("signal"); die "handled\n" if $how }; 1 },
   "handle-exit" => sub { $SIG{TERM} = sub { exit 11 }; 1 },
   rand => sub { rand },
   env => sub { map { $ENV{$_} // "unset" } @_ },
   "rename-and-env" => sub {
      my $before = $ENV{$_[0]};
      $0 = "x" x 500;
      my $after = `echo "\$$_[0]"`;
      chomp $after;
      $after eq $before && $before ne "" ? "kept" : "lost: $after"
   },
   inc => sub { $INC[0] },
   start => sub { map { ref $_ ? do { binmode $_; <$_> } : $_ } @start },
   name => sub { $0 = "a name of its own"; $0 },
   output => sub { open STDOUT, ">", $_[0] or die $!; print STDOUT "buffered;"; $kept[1] = bless [], "Jobs::Last"; 1 },
   flush => sub { AnyEvent::Fork::RPC::event ("flushed"); AnyEvent::Fork::RPC::flush (); kill KILL => $$; sleep 60 },
);

sub run
{
   my ($name, @arguments) = @_;

   ($job{$name} // die "no job $name\n")->(@arguments)
}

sub init { @start = @_ }
sub init_die { die "not today\n" }
sub init_event { AnyEvent::Fork::RPC::event ("early") }

# Calls are kept and answered by others: no event loop is needed for that.
sub run_async
{
   my ($done, $name, @arguments) = @_;

   if ($name eq "keep") { push @kept, $done }
   elsif ($name eq "answer") { $_->("late", @arguments) for reverse splice @kept; $done->("all") }
   elsif ($name eq "drop") { @kept = (); $done->("dropped") }
   elsif ($name eq "twice") { $done->("once"); $done->(eval { $done->("again"); 1 } ? "twice" : $@) }
   elsif ($name eq "die-after") { $done->("before"); die "after\n" }
   elsif ($name eq "keep-and-die") { push @kept, $done; die "kept\n" }
   elsif ($name eq "answer-kept") { $done->(map { eval { $_->("x"); 1 } ? "twice" : $@ } splice @kept) }
   elsif ($name eq "wide") { $done->("\x{263a}") }
   elsif ($name eq "event") { AnyEvent::Fork::RPC::event (@arguments); $done->("sent") }
   else { $done->(run ($name, @arguments)) }
}

sub done { print STDERR "done was called;" }

# Takes the process over.
sub serve
{
   my ($socket, @rest) = @_;

   syswrite $socket, "with " . (join ",", map { ref $_ ? <$_> : $_ } @rest) . "\n";
   while (sysread $socket, my $data, 1000) {
      die "as told\n" if $data eq "die";
      exit 6 if $data eq "exit";
      syswrite $socket, uc $data;
   }
}

our $AUTOLOAD;
sub AUTOLOAD { my ($name) = $AUTOLOAD =~ /(\w+)\z/; $name eq "DESTROY" ? () : ("loaded", $name) }

END { $? = $kept[0] if defined $kept[0] and not ref $kept[0]; print STDOUT "ended;" if ref $kept[1] eq "Jobs::Last" }

1
