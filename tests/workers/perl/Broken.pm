# SPDX-License-Identifier: LGPL-2.1-or-later
package Broken;

sub run { this is not Perl

1
