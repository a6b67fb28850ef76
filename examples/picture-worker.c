/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker module that draws pictures, which its program shows without copying them. */
#include <afrpc/afrpc.h>

#define N_STEPS 100

AFRPC_FUNCTION (draw, "(uudd)")

static guint32
get_colour (double x,
            double y)
{
  double re = x, im = y;
  guint n = 0;

  while (n < N_STEPS && re * re + im * im < 4)
    {
      const double next = re * re - im * im + x;

      im = 2 * re * im + y;
      re = next;
      n++;
    }

  /* Opaque, 8 bits each of red, green and blue. */
  return n == N_STEPS ? 0xff000000 : 0xff000000 | (n * 5 & 0xff) << 16 | (n * 7 & 0xff) << 8 | (n * 11 & 0xff);
}

/* Width, height, and which part of the Mandelbrot set: where its middle is, and half its width. Returns a
 * handle of the picture, and its size in bytes. */
GVariant *
draw (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  g_autoptr(AfrpcBuffer) buffer = NULL;
  guint32 width, height, *pixel;
  double middle, half;
  int handle;

  g_variant_get (args, "(uudd)", &width, &height, &middle, &half);
  if (width == 0 || height == 0 || width > 10000 || height > 10000)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS, "no such picture");
      return NULL;
    }

  /* The memory of a picture that the program has dropped, if there is one. */
  buffer = afrpc_buffer_new ((gsize) width * height * sizeof *pixel, AFRPC_BUFFER_REUSED, error);
  if (buffer == NULL)
    return NULL;

  pixel = (guint32 *) afrpc_buffer_get_data (buffer);
  for (guint y = 0; y < height; y++)
    for (guint x = 0; x < width; x++)
      *pixel++ = get_colour (middle + half * (2.0 * x / width - 1), half * (2.0 * y / height - 1));

  if (!afrpc_buffer_seal (buffer, error))
    return NULL;
  handle = afrpc_worker_append_result_fd (worker, afrpc_buffer_get_fd (buffer), error);
  if (handle < 0)
    return NULL;

  return g_variant_new ("(ht)", handle, (guint64) afrpc_buffer_get_size (buffer));
}
