# SPDX-License-Identifier: LGPL-2.1-or-later

# A file that names no package. It may name its functions as the host names its own.
use strict;
use warnings;

my @got;

sub prepare { @got = @_ }
sub load { "my load" }
sub evaluate { "my evaluate" }
sub suggest { "my suggest" }
sub run { (__PACKAGE__, @got, load (), evaluate (), suggest ()) }

1
