# SPDX-License-Identifier: LGPL-2.1-or-later

# Makes C of the host's code in Perl: a table of its parts, in the order of which the first has no name.
#
# usage: perl afrpc-perl-embed.pl FILE

use strict;
use warnings;

my @parts = (["", 1, ""]);
while (<>) {
   if (/\A### (\w+)$/) { push @parts, ["Afrpc::Perl::$1", $. + 1, ""] }
   else { $parts[-1][2] .= $_ }
}

for (@parts) {
   my ($name, $line, $code) = @$_;
   my $all = ($name eq "" ? "" : "package Afrpc::Perl;\n") . "# line $line \"afrpc-host-perl\"\n$code";

   s/([\\"])/\\$1/g, s/\n/\\n/g, s/\?/\\?/g for $all;
   print qq{{ "$name", "$all" },\n};
}
