/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The smallest worker there is: sends back what it gets, until there is no more. */
#include <unistd.h>

int
main (void)
{
  char buffer[256];
  ssize_t len;

  while ((len = read (STDIN_FILENO, buffer, sizeof buffer)) > 0)
    if (write (STDOUT_FILENO, buffer, (size_t) len) != len)
      return 1;
  return 0;
}
