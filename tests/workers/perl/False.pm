# SPDX-License-Identifier: LGPL-2.1-or-later
package False;

0
