/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a worker may send: the parent's side of the conversation must not crash, hang, leak or let
 * anything through that is not as it should be.
 *
 * Input: a byte of options, the size of the pieces in which the rest is sent (0: at once), the
 * number of calls that wait, then what the worker sends. */
#include "config.h"

#include "fuzz-main.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link/afrpc-link.h"
#include "variant-check.h"

#define N_OPTIONS_BYTES 3
#define GOODBYE_SERIAL G_GUINT64_CONSTANT (0x123456789abcdef0)

enum
{
  OPTION_READY = 1 << 0,     /* the worker has greeted, and is ready */
  OPTION_FDS = 1 << 1,       /* a descriptor travels with each piece but the first */
  OPTION_NO_PAGE = 1 << 2,   /* there is no shared memory */
  OPTION_ABANDONED = 1 << 3, /* nobody waits for every other call */
  OPTION_SMALL = 1 << 4,     /* messages are limited to a few bytes */
  OPTION_COMMAND = 1 << 5,   /* the worker is behind a command: guards, and maybe a goodbye */
};

static void
send_piece (int           socket,
            const guint8 *data,
            gsize         size,
            gboolean      with_fd)
{
  union
  {
    struct cmsghdr align;
    char bytes[CMSG_SPACE (sizeof (int))];
  } control = { { 0 } };
  struct iovec iov = { (void *) data, size };
  struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

  if (with_fd)
    {
      const int fd = STDERR_FILENO;
      struct cmsghdr *cmsg;

      message.msg_control = control.bytes;
      message.msg_controllen = sizeof control.bytes;
      cmsg = CMSG_FIRSTHDR (&message);
      cmsg->cmsg_level = SOL_SOCKET;
      cmsg->cmsg_type = SCM_RIGHTS;
      cmsg->cmsg_len = CMSG_LEN (sizeof (int));
      memcpy (CMSG_DATA (cmsg), &fd, sizeof (int));
    }

  g_assert_cmpint (sendmsg (socket, &message, MSG_NOSIGNAL), ==, size);
}

static void
check_item (AfrpcLink     *link,
            AfrpcLinkItem *item)
{
  g_assert_true (item->value == NULL || item->error == NULL);
  g_assert_cmpint (item->value == NULL && item->error == NULL, ==,
                   item->kind == AFRPC_LINK_ITEM_READY);
  if (item->kind == AFRPC_LINK_ITEM_FAILED)
    g_assert_nonnull (item->error);
  if (item->kind != AFRPC_LINK_ITEM_EXITED)
    g_assert_cmpint (item->pid > 0, ==,
                     item->kind == AFRPC_LINK_ITEM_FORKED && item->error == NULL);
  g_assert_cmpint (item->call.owner != NULL, ==, item->kind == AFRPC_LINK_ITEM_RESULT);
  if (item->error != NULL)
    g_assert_true (g_utf8_validate (item->error->message, -1, NULL));

  if (item->value != NULL)
    {
      g_assert_true (variant_is_normal (item->value));
      if (link->state == AFRPC_LINK_READY)
        g_assert_cmpuint (g_variant_get_size (item->value), <=, link->message_size_max);
    }
}

/* Returns FALSE when there is nothing more to be had from this worker. */
static gboolean
receive (AfrpcLink *link)
{
  AfrpcStreamStep step;

  while ((step = afrpc_link_read (link, NULL)) == AFRPC_STREAM_DONE)
    {
      g_auto(AfrpcLinkItem) item = { 0 };
      g_autoptr(GError) error = NULL;

      while ((step = afrpc_link_next (link, &item, &error)) == AFRPC_STREAM_DONE)
        {
          check_item (link, &item);
          afrpc_link_item_clear (&item);
        }
      g_assert_cmpint (step == AFRPC_STREAM_ERROR, ==, error != NULL);
      if (step != AFRPC_STREAM_AGAIN)
        return FALSE;
    }

  return step == AFRPC_STREAM_AGAIN;
}

static void
say_ready (int   socket,
           guint guard_size)
{
  g_auto(AfrpcStream) worker = { 0 };
  g_autoptr(GVariant) hello = g_variant_ref_sink (
    g_variant_new_parsed ("{'version': <%u>, 'host': <'c'>, 'goodbye': <%t>}",
                          AFRPC_FRAME_PROTOCOL_VERSION, GOODBYE_SERIAL));

  afrpc_stream_init (&worker, -1, socket, TRUE);
  worker.out_guard = guard_size;
  afrpc_stream_put_value (&worker, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, hello);
  afrpc_stream_put_value (&worker, AFRPC_FRAME_READY, 0, NULL);
  g_assert_cmpint (afrpc_stream_flush (&worker, NULL), ==, AFRPC_STREAM_DONE);
  worker.out_fd = -1;
}

static void
make_calls (AfrpcLink *link,
            guint      n,
            guint      options)
{
  g_autoptr(GVariant) args = g_variant_ref_sink (g_variant_new_tuple (NULL, 0));
  const AfrpcPayload payload = afrpc_payload (args);

  for (guint i = 0; i < n; i++)
    {
      const gboolean is_abandoned = (options & OPTION_ABANDONED) != 0 && i % 2 == 0;
      const AfrpcLinkCall call = { .owner = is_abandoned ? NULL : link };

      g_assert_cmpuint (afrpc_link_call (link, &payload, &call, NULL), !=, 0);
    }
}

static void
converse (const guint8 *data,
          gsize         size,
          guint         options,
          gsize         piece,
          guint         n_calls)
{
  g_autoptr(GArray) pending = NULL;
  AfrpcLink link;
  int fds[2];
  gboolean going_on;

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  afrpc_link_init (&link, "c");
  if ((options & OPTION_COMMAND) != 0)
    afrpc_link_set_command (&link);
  if ((options & OPTION_NO_PAGE) == 0)
    afrpc_link_run (&link, NULL, NULL, 0, FALSE);
  link.n_pending_max = G_MAXUINT8;
  link.n_bytes_max = G_MAXUINT32;
  link.message_size_max = (options & OPTION_SMALL) != 0 ? 8 : 65536;
  afrpc_link_connect (&link, fds[0]);
  if ((options & OPTION_READY) != 0)
    {
      say_ready (fds[1], link.stream.in_guard);
      g_assert_true (receive (&link));
      make_calls (&link, n_calls, options);
    }

  going_on = TRUE;
  for (gsize at = 0, n; going_on && at < size; at += n)
    {
      n = MIN (size - at, piece);
      send_piece (fds[1], data + at, n, at > 0 && (options & OPTION_FDS) != 0);
      going_on = receive (&link);
    }
  close (fds[1]);
  if (going_on)
    g_assert_false (receive (&link));

  pending = afrpc_link_end (&link);
  g_assert_cmpuint (pending->len, <=, n_calls);
  for (guint i = 1; i < pending->len; i++)
    g_assert_cmpuint (g_array_index (pending, AfrpcLinkSlot, i - 1).serial, <,
                      g_array_index (pending, AfrpcLinkSlot, i).serial);
  afrpc_link_clear (&link);
}

/* The lowest number that is free. */
static int
get_next_fd (void)
{
  int fd = fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

  g_assert_no_errno (fd);
  close (fd);

  return fd;
}

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        size_t        size)
{
  const int next_fd = get_next_fd ();

  if (size < N_OPTIONS_BYTES)
    return 0;

  converse (data + N_OPTIONS_BYTES, size - N_OPTIONS_BYTES, data[0],
            data[1] != 0 && size < 4096 ? data[1] : 32768, data[2] % G_MAXUINT8);
  g_assert_cmpint (get_next_fd (), ==, next_fd);

  return 0;
}
