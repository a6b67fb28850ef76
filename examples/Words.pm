# SPDX-License-Identifier: LGPL-2.1-or-later

# A worker in Perl: the words that a file has most of, each with its number.
package Words;

use strict;
use warnings;

sub count
{
   my ($path, $n_words) = @_;
   my %number;

   open my $file, "<", $path or die "$path: $!\n";
   while (<$file>) {
      $number{lc $1}++ while /([[:alpha:]]+)/g;
      AnyEvent::Fork::RPC::event ($path, $.) if $. % 1000 == 0;
   }

   my @words = sort { $number{$b} <=> $number{$a} or $a cmp $b } keys %number;
   splice @words, $n_words if @words > $n_words;

   map { $_, $number{$_} } @words
}

1;
