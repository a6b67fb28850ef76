# SPDX-License-Identifier: LGPL-2.1-or-later

# A worker of the sync backend as it is written for AnyEvent::Fork::RPC: no module is needed, results are a
# list, and there is an event now and then.
package Remover;

use strict;
use warnings;

my $handled = 0;
my %action = (
   rmdir  => sub { rmdir $_[0] },
   unlink => sub { unlink $_[0] },
);

sub handle
{
   my ($what, $path) = @_;

   $handled++;
   AnyEvent::Fork::RPC::event ($handled, $path) if $handled % 3 == 0;

   my $action = $action{$what} or die "there is no such action: $what";
   my $done = $action->($path);

   $done ? $done : (0, "$!")
}

# The same for the async backend.
sub handle_async
{
   my ($done, @request) = @_;

   $done->(handle (@request));
}

1
