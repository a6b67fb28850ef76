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
  OPTION_TIMED = 1 << 6,     /* calls are timed, and their progress is wanted */
  OPTION_RESTART = 1 << 7,   /* in the middle, another worker takes the place of the first */
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
  const gboolean is_bare = item->kind == AFRPC_LINK_ITEM_GREETED || item->kind == AFRPC_LINK_ITEM_READY || item->kind == AFRPC_LINK_ITEM_STARTED ||
                           item->kind == AFRPC_LINK_ITEM_RETIRE;
  const gboolean is_of_call = item->kind == AFRPC_LINK_ITEM_RESULT || item->kind == AFRPC_LINK_ITEM_STARTED ||
                              item->kind == AFRPC_LINK_ITEM_PROGRESS;

  g_assert_true (item->value == NULL || item->error == NULL);
  g_assert_cmpint (item->value == NULL && item->error == NULL, ==, is_bare);
  if (item->kind == AFRPC_LINK_ITEM_FAILED)
    g_assert_nonnull (item->error);
  if (item->kind != AFRPC_LINK_ITEM_EXITED)
    g_assert_cmpint (item->pid > 0, ==,
                     item->kind == AFRPC_LINK_ITEM_FORKED && item->error == NULL);
  g_assert_cmpint (item->call.owner != NULL, ==, is_of_call);
  if (item->kind == AFRPC_LINK_ITEM_STARTED)
    {
      g_assert_cmpint (item->start_us, >=, 0);
      g_assert_cmpint (item->start_us, <=, g_get_monotonic_time ());
    }
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
  AfrpcStep step;

  while ((step = afrpc_link_read (link, NULL)) == AFRPC_STEP_DONE)
    {
      g_auto(AfrpcLinkItem) item = { 0 };
      g_autoptr(GError) error = NULL;

      while ((step = afrpc_link_next (link, &item, &error)) == AFRPC_STEP_DONE)
        {
          check_item (link, &item);
          afrpc_link_item_clear (&item);
        }
      g_assert_cmpint (step == AFRPC_STEP_ERROR, ==, error != NULL);
      if (step != AFRPC_STEP_AGAIN)
        return FALSE;
    }

  return step == AFRPC_STEP_AGAIN;
}

static void
say_ready (int                        socket,
           const AfrpcTransportFuncs *funcs)
{
  g_auto(AfrpcTransport) worker = { 0 };
  g_autoptr(GVariant) hello = g_variant_ref_sink (
    g_variant_new_parsed ("{'version': <%u>, 'host': <'c'>, 'goodbye': <%t>}",
                          AFRPC_FRAME_PROTOCOL_VERSION, GOODBYE_SERIAL));

  afrpc_transport_init (&worker, funcs, AFRPC_TRANSPORT_WORKER);
  afrpc_transport_connect (&worker, -1, socket);
  afrpc_transport_put_value (&worker, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, hello);
  afrpc_transport_put_value (&worker, AFRPC_FRAME_READY, 0, NULL);
  g_assert_cmpint (afrpc_transport_flush (&worker, NULL), ==, AFRPC_STEP_DONE);
  worker.out_fd = -1;
}

static void
make_calls (AfrpcLink *link,
            guint      n,
            guint      options)
{
  g_autoptr(GVariant) args = g_variant_ref_sink (g_variant_new_tuple (NULL, 0));
  AfrpcPayload payload = afrpc_payload (args);

  if ((options & OPTION_TIMED) != 0)
    payload.flags = AFRPC_FRAME_FLAG_TIMED | AFRPC_FRAME_FLAG_PROGRESS;
  for (guint i = 0; i < n; i++)
    {
      const gboolean is_abandoned = (options & OPTION_ABANDONED) != 0 && i % 2 == 0;
      const AfrpcLinkCall call = { .owner = is_abandoned ? NULL : link };

      g_assert_cmpuint (afrpc_link_call (link, &payload, &call, NULL), !=, 0);
    }
}

/* Returns: the worker's end */
static int
connect_link (AfrpcLink *link,
              guint      options)
{
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  afrpc_link_connect (link, fds[0]);
  if ((options & (OPTION_NO_PAGE | OPTION_RESTART)) != OPTION_NO_PAGE)
    afrpc_link_run (link, NULL, NULL, 0, FALSE);

  return fds[1];
}

/* The worker says all of @data, in pieces, and goes. */
static void
say_and_go (AfrpcLink    *link,
            int           socket,
            const guint8 *data,
            gsize         size,
            guint         options,
            gsize         piece)
{
  gboolean going_on = TRUE;

  for (gsize at = 0, n; going_on && at < size; at += n)
    {
      n = MIN (size - at, piece);
      send_piece (socket, data + at, n, at > 0 && (options & OPTION_FDS) != 0);
      going_on = receive (link);
    }
  close (socket);
  if (going_on)
    g_assert_false (receive (link));
}

/* Calls are in the order in which they were made, and not more than there were. */
static void
check_slots (GArray *slots,
             guint   n_max)
{
  g_assert_cmpuint (slots->len, <=, n_max);
  for (guint i = 1; i < slots->len; i++)
    g_assert_cmpuint (g_array_index (slots, AfrpcLinkSlot, i - 1).serial, <,
                      g_array_index (slots, AfrpcLinkSlot, i).serial);
}

static void
cancel_some (AfrpcLink *link)
{
  for (guint32 i = 0; i < link->n_slots; i += 3)
    if (link->slots[i].serial != 0)
      {
        link->slots[i].call.owner = NULL;
        afrpc_link_cancel (link, link->slots[i].serial);
      }
}

static void
converse (const guint8 *data,
          gsize         size,
          guint         options,
          gsize         piece,
          guint         n_calls)
{
  g_autoptr(GArray) lost = NULL;
  g_autoptr(GArray) pending = g_array_new (FALSE, FALSE, sizeof (AfrpcLinkSlot));
  AfrpcLinkSlot slot;
  AfrpcLink link;
  int socket;

  afrpc_link_init (&link, "c");
  if ((options & OPTION_COMMAND) != 0)
    afrpc_link_set_command (&link);
  if ((options & OPTION_RESTART) != 0)
    afrpc_link_keep (&link);
  link.n_pending_max = G_MAXUINT8;
  link.n_bytes_max = G_MAXUINT32;
  link.message_size_max = (options & OPTION_SMALL) != 0 ? 8 : 65536;
  socket = connect_link (&link, options);
  if ((options & OPTION_READY) != 0)
    {
      say_ready (socket, link.transport.funcs);
      g_assert_true (receive (&link));
    }
  if ((options & (OPTION_READY | OPTION_RESTART)) != 0)
    make_calls (&link, n_calls, options);

  if ((options & OPTION_RESTART) != 0)
    {
      const gsize half = size / 2;

      if (half % 3 > 0)
        afrpc_link_flush (&link, NULL);
      if (half % 5 > 0)
        cancel_some (&link);
      say_and_go (&link, socket, data, half, options, piece);
      lost = afrpc_link_restart (&link, half % 7 > 0);
      check_slots (lost, n_calls);
      socket = connect_link (&link, options);
      if (half % 2 > 0)
        afrpc_link_flush (&link, NULL);
      data += half;
      size -= half;
    }
  say_and_go (&link, socket, data, size, options, piece);

  afrpc_link_end (&link);
  if (n_calls % 2 == 0)
    afrpc_link_let_go (&link, n_calls % 4 == 0);
  while (afrpc_link_give_back (&link, &slot))
    g_array_append_val (pending, slot);
  check_slots (pending, n_calls - (lost != NULL ? lost->len : 0));
  afrpc_link_clear (&link);
}

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        size_t        size)
{
  const int next_fd = fuzz_get_next_fd ();

  if (size < N_OPTIONS_BYTES)
    return 0;

  converse (data + N_OPTIONS_BYTES, size - N_OPTIONS_BYTES, data[0],
            data[1] != 0 && size < 4096 ? data[1] : 32768, data[2] % G_MAXUINT8);
  g_assert_cmpint (fuzz_get_next_fd (), ==, next_fd);

  return 0;
}
