# SPDX-License-Identifier: LGPL-2.1-or-later

# Arrays of numbers in one piece.
package Numbers;

use strict;
use warnings;

our $letters = {n => "s", q => "S", i => "l", u => "L", x => "q", t => "Q", d => "d"};

sub init { ($Afrpc::arrays) = @_; if ($_[0] eq "PDL") { require PDL::LiteF; PDL::LiteF->import } }

my %job = (
   # What came, and the same again, doubled.
   double => sub {
      my ($type, $octets) = @_;
      my @numbers = unpack "$letters->{$type}*", $octets;
      (scalar @numbers, Afrpc::array ($type, pack "$letters->{$type}*", map { 2 * $_ } @numbers))
   },
   is => sub { map { ref $_ || "scalar" } @_ },
   bytes => sub { Afrpc::array ("y", "abc") },
   nested => sub { [{ a => Afrpc::array ("d", pack "d", 1.5) }, Afrpc::array ("n", "")] },
   type => sub { Afrpc::array ("s", "") },
   size => sub { Afrpc::array ("d", "1234567") },
   forged => sub { bless $_[0], "Afrpc::Array" },
   pdl => sub { my ($factor, $pdl) = @_; $pdl * $factor },
   "pdl-type" => sub { my ($pdl) = @_; ($pdl->type . "", $pdl->nelem) },
   # Ours are in the order that the other side would have: the last dimension goes fastest.
   matrix => sub { PDL->sequence (2, 3)->long },
   cube => sub { PDL->sequence (2, 1, 2)->short },
   slice => sub { PDL->sequence (5)->slice ("1:3:2") },
   float => sub { PDL->pdl (1.5, 2.5)->float },
   number => sub { PDL->pdl (7) },
   empty => sub { PDL->zeroes (0) },
   complex => sub { PDL->pdl (1)->cdouble },
);

sub run { my ($name, @arguments) = @_; $job{$name}->(@arguments) }

1
