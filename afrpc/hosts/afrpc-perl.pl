# SPDX-License-Identifier: LGPL-2.1-or-later

# The part of the host that is better said in Perl. It is compiled into the host; what is behind a line "### NAME" is
# given to Perl when the function NAME is first called, since code takes memory.

# First, so that the code sees no variable of ours. It finds its arguments in @_.
package main;
sub Afrpc::Perl::evaluate { my @result = eval shift; die $@ if ref $@ or length $@; @result }

# Calls seem to come from here, as they do in the original.
package AnyEvent::Fork::RPC::Sync;
sub do_exit { CORE::exit (0) }

package AnyEvent::Fork::RPC::Async;
sub do_exit { CORE::exit (0) }

package Afrpc::Perl;

# The one function takes a list of values and returns octets, the other one the other way round.
sub Afrpc::register_serialiser
{
   my ($name, @functions) = @_;

   @functions = evaluate (@functions) if @functions == 1;
   2 == grep ref eq "CODE", @functions
      or die "a serialiser is two functions, or code that returns them\n";
   register ($name, @functions);
}

# Numbers in one piece, for the values that a function sends: octets as pack "d*" and the like make them.
sub Afrpc::array
{
   my ($type, $octets) = @_;

   my $size = {y => 1, n => 2, q => 2, i => 4, u => 4, x => 8, t => 8, d => 8}->{$type}
      or die "there are no arrays of type '$type': n, q, i, u, x, t, d or y\n";
   length ($octets) % $size == 0 or die "these octets are no array of type '$type'\n";
   bless [$type, $octets], "Afrpc::Array"
}

### start
# The backends' modules are the host itself. The module of the parent's side is named by workers out of habit: it
# is loaded if it is there, and not missed if it is not.
sub start
{
   # Modules that start Perl mean that, and not this program.
   $^X = $_[0];
   $INC{$_} = __FILE__ for "AnyEvent/Fork/RPC/Sync.pm", "AnyEvent/Fork/RPC/Async.pm", "Afrpc.pm";
   grep { !ref and -e "$_/AnyEvent/Fork/RPC.pm" } @INC
      or $INC{"AnyEvent/Fork/RPC.pm"} = __FILE__;
   $environment = $ENV{PERL5LIB};
}

### load
# From package main: a file that names no package is in that of whoever loads it.
package main;
sub Afrpc::Perl::load { push @Afrpc::Perl::loaded, $_[0]; require $_[0] }

### suggest
# The functions of that name, whatever its package, in the packages that loaded modules are named after.
sub suggest
{
   my ($name) = $_[0] =~ /(\w+)\z/ or return "";
   my %found;

   for (@loaded) {
      my @parts = split m{/}, s/\.\w+\z//r;

      for (map join ("::", @parts[$_ .. $#parts]), 0 .. $#parts) {
         $found{"${_}::$name"} = 1 if /\A\w+(?:::\w+)*\z/ and defined &{"${_}::$name"};
      }
   }
   join " or ", map "'$_'", sort keys %found
}

### text
sub text { "$_[0]" }

### plain
sub plain
{
   my ($value) = @_;

   ref $value eq "ARRAY" ? [@$value] : ref $value eq "HASH" ? {%$value} : $value
}

### from_pdl
# What is written of a piddle: the outermost dimension is the last one there.
sub from_pdl
{
   my ($pdl) = @_;

   my $name = $pdl->type . "";
   ($pdl, $name) = ($pdl->double, "double") if $name eq "float";
   my $type = {
      byte => "y", short => "n", ushort => "q", long => "i", ulong => "u", indx => "x", longlong => "x",
      ulonglong => "t", double => "d"
   }->{$name} or die "a piddle of type $name cannot be sent\n";
   my @dims = reverse $pdl->dims or return $pdl->sclr;
   bless [$type, ${$pdl->copy->get_dataref}, @dims], "Afrpc::Array"
}

### to_pdl
sub to_pdl
{
   my ($type, $octets, $n) = @_;

   my $name = {
      n => "short", q => "ushort", i => "long", u => "ulong", x => "longlong", t => "ulonglong", d => "double"
   }->{$type};
   my $pdl = PDL->new_from_specification (PDL->can ($name)->(), $n);
   ${$pdl->get_dataref} = $octets;
   $pdl->upd_data;
   $pdl
}

### handle
sub handle
{
   open my $handle, "+<&=", $_[0] or die "a file descriptor cannot be used: $!\n";
   $handle
}

### renew_environment
# The environment that was given to the process after Perl had started.
sub renew_environment
{
   %ENV = @_;
   my $libraries = $ENV{PERL5LIB};
   unshift @INC, grep length, split /:/, $libraries
      if defined $libraries and $libraries ne ($environment // "");
   $environment = $libraries;
}

### forked
# In a process that was forked from a template without pthread_atfork ().
sub forked
{
   EV::default_loop ()->loop_fork if $INC{"EV.pm"};
}

### offer_anyevent
# AnyEvent is loaded by the backend that the functions were written for; here, when it is first used.
sub offer_anyevent
{
   return if $INC{"AnyEvent.pm"};
   *AE::AUTOLOAD = sub {
      my $name = our $AUTOLOAD;
      load_anyevent ();
      goto &$name;
   };
   *AnyEvent::AUTOLOAD = sub {
      my ($name) = our $AUTOLOAD =~ /(\w+)\z/;
      return if $name eq "DESTROY";
      load_anyevent ();
      my $class = shift;
      $class->$name (@_)
   };
}

sub load_anyevent
{
   delete $AE::{AUTOLOAD};
   delete $AnyEvent::{AUTOLOAD};
   require AnyEvent;
}

### turn_ev
# One turn of the event loop that the worker's modules use: until something happens, $fd can be read (it says so
# once), or $seconds have passed; there is no limit if they are negative.
sub turn_ev
{
   my ($fd, $seconds) = @_;

   return EV::run (EV::RUN_NOWAIT ()) unless $seconds;

   ($watcher ||= EV::io_ns ($fd, EV::READ (), sub { $_[0]->stop }))->start;
   return EV::run (EV::RUN_ONCE ()) if $seconds < 0;

   $timer ||= EV::timer_ns (1, 0, sub { });
   $timer->set ($seconds, 0);
   $timer->start;
   EV::run (EV::RUN_ONCE ());
   $timer->stop;
}

### turn_anyevent
sub turn_anyevent
{
   my ($fd, $seconds) = @_;
   my $limit;

   $limit = AE::timer ($seconds, 0, sub { }) if $seconds >= 0;
   $watcher ||= AE::io ($fd, 0, sub { undef $watcher }) if $seconds;
   AnyEvent->_poll;
}
