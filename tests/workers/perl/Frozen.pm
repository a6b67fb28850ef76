# SPDX-License-Identifier: LGPL-2.1-or-later

# Serialisers in Perl.
package Frozen;

use strict;
use warnings;

our $last;

sub init { Afrpc::register_serialiser (packed => q{(sub { pack "(N/a*)*", @_ }, sub { unpack "(N/a*)*", shift })}) }

# The same, and odd at times.
sub init_odd
{
   Afrpc::register_serialiser (packed => sub {
      my ($what) = @_;
      $last = wantarray;
      die "cannot freeze that\n" if $what eq "freeze";
      return undef if $what eq "nothing";
      return [] if $what eq "reference";
      return "\x{263a}" if $what eq "wide";
      exit 5 if $what eq "exit";
      pack "(N/a*)*", @_
   }, sub {
      my ($octets) = @_;
      die "cannot thaw that\n" if $octets =~ /thaw/;
      unpack "(N/a*)*", $octets
   });
}

sub init_wrong_name { Afrpc::register_serialiser ("json", sub { }, sub { }) }
sub init_wrong_code { Afrpc::register_serialiser ("packed", "sub {") }
sub init_one { Afrpc::register_serialiser ("packed", "sub { }") }
sub init_none { }

sub run
{
   my ($name, @arguments) = @_;

   return scalar @arguments if $name eq "count";
   return defined $last ? $last ? "list" : "scalar" : "void" if $name eq "context";
   if ($name eq "event") { AnyEvent::Fork::RPC::event (@arguments); return "sent" }
   if ($name eq "events") { return map { my $what = $_; eval { AnyEvent::Fork::RPC::event ($what); 1 } ? "sent" : $@ =~ s{ at .*}{}sr } @arguments }
   if ($name eq "progress") { Afrpc::progress (@arguments); return "told" }
   return ($arguments[0]) if $name eq "one";
   @arguments
}

sub run_async { my ($done, @arguments) = @_; $done->(run (@arguments)) }

1
