/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "fake-worker.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "transport/afrpc-socket.h"

void
fake_init (Fake *self)
{
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  afrpc_link_init (&self->link, FAKE_HOST);
  self->link.n_pending_max = G_MAXUINT;
  self->link.n_bytes_max = G_MAXUINT64;
  self->link.message_size_max = 1 << 20;
  afrpc_link_connect (&self->link, fds[0]);
  afrpc_transport_init (&self->worker, &afrpc_socket_funcs, AFRPC_TRANSPORT_WORKER);
  afrpc_transport_connect (&self->worker, fds[1], fds[1]);
}

void
fake_clear (Fake *self)
{
  afrpc_link_clear (&self->link);
  afrpc_transport_clear (&self->worker);
}

GVariant *
fake_new_hello (guint32     version,
                const char *host)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "version", "u", version);
  g_variant_dict_insert (&dict, "host", "s", host);
  g_variant_dict_insert (&dict, "from-the-future", "s", "ignored");

  return g_variant_dict_end (&dict);
}

void
fake_say (Fake           *self,
          AfrpcFrameKind  kind,
          guint64         serial,
          GVariant       *value)
{
  g_autoptr(GVariant) sunk = value != NULL ? g_variant_ref_sink (value) : NULL;

  afrpc_transport_put_value (&self->worker, kind, serial, sunk);
  g_assert_cmpint (afrpc_transport_flush (&self->worker, NULL), !=, AFRPC_STEP_ERROR);
}

/* Whatever it is, valid or not. */
void
fake_say_raw (Fake           *self,
              AfrpcFrameKind  kind,
              guint64         serial,
              const char     *type,
              const char     *payload,
              gsize           size)
{
  const AfrpcFrameHeader header = {
    .kind = kind,
    .flags = AFRPC_FRAME_FLAGS_NATIVE,
    .type_length = strlen (type),
    .serial = serial,
    .size = size,
  };

  memcpy (afrpc_transport_put (&self->worker, &header, type), payload, size);
  g_assert_cmpint (afrpc_transport_flush (&self->worker, NULL), !=, AFRPC_STEP_ERROR);
}

void
fake_send (Fake         *self,
           const guint8 *bytes,
           gsize         size,
           int           fd)
{
  union
  {
    struct cmsghdr align;
    char bytes[CMSG_SPACE (sizeof (int))];
  } control = { { 0 } };
  struct iovec iov = { (void *) bytes, size };
  struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

  if (fd >= 0)
    {
      struct cmsghdr *cmsg = &control.align;

      message.msg_control = control.bytes;
      message.msg_controllen = sizeof control.bytes;
      cmsg->cmsg_level = SOL_SOCKET;
      cmsg->cmsg_type = SCM_RIGHTS;
      cmsg->cmsg_len = CMSG_LEN (sizeof (int));
      memcpy (CMSG_DATA (cmsg), &fd, sizeof (int));
    }

  g_assert_cmpint (sendmsg (self->worker.out_fd, &message, MSG_NOSIGNAL), ==, size);
}

void
fake_greet (Fake *self)
{
  fake_say (self, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC,
            fake_new_hello (AFRPC_FRAME_PROTOCOL_VERSION, FAKE_HOST));
}

void
fake_start (Fake *self)
{
  g_auto(AfrpcLinkItem) item = { 0 };
  AfrpcFrame frame;

  afrpc_link_run (&self->link, NULL, NULL, 0, FALSE);
  fake_hear (self, AFRPC_FRAME_HELLO, &frame);
  fake_hear (self, AFRPC_FRAME_RUN, &frame);
  fake_greet (self);
  fake_say (self, AFRPC_FRAME_READY, 0, NULL);
  fake_take (self, &item);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_READY);
}

static AfrpcStep
hear (Fake       *self,
      AfrpcFrame *frame)
{
  g_autoptr(GError) error = NULL;
  AfrpcStep step;

  while ((step = afrpc_transport_next (&self->worker, frame, &error)) == AFRPC_STEP_AGAIN)
    {
      afrpc_link_flush (&self->link, &error);
      g_assert_no_error (error);
      step = afrpc_transport_read (&self->worker, &error);
      if (step != AFRPC_STEP_DONE)
        break;
    }
  g_assert_no_error (error);

  return step;
}

void
fake_hear (Fake           *self,
           AfrpcFrameKind  kind,
           AfrpcFrame     *frame)
{
  g_assert_cmpint (hear (self, frame), ==, AFRPC_STEP_DONE);
  g_assert_cmpint (frame->header.kind, ==, kind);
}

void
fake_hear_none (Fake *self)
{
  AfrpcFrame frame;

  g_assert_cmpint (hear (self, &frame), ==, AFRPC_STEP_AGAIN);
}

static AfrpcStep
take (Fake           *self,
      AfrpcLinkItem  *item,
      GError        **error)
{
  AfrpcStep step;

  while ((step = afrpc_link_next (&self->link, item, error)) == AFRPC_STEP_AGAIN ||
         (step == AFRPC_STEP_DONE && item->kind == AFRPC_LINK_ITEM_GREETED))
    {
      if (step == AFRPC_STEP_DONE)
        continue;
      if (self->worker.out_fd >= 0)
        g_assert_cmpint (afrpc_transport_flush (&self->worker, NULL), !=, AFRPC_STEP_ERROR);
      step = afrpc_link_read (&self->link, error);
      if (step != AFRPC_STEP_DONE)
        break;
    }

  return step;
}

void
fake_take (Fake          *self,
           AfrpcLinkItem *item)
{
  g_autoptr(GError) error = NULL;
  AfrpcStep step = take (self, item, &error);

  g_assert_no_error (error);
  g_assert_cmpint (step, ==, AFRPC_STEP_DONE);
}

GArray *
fake_end (Fake *self)
{
  GArray *given = g_array_new (FALSE, FALSE, sizeof (AfrpcLinkSlot));
  AfrpcLinkSlot slot;

  afrpc_link_end (&self->link);
  while (afrpc_link_give_back (&self->link, &slot))
    g_array_append_val (given, slot);

  return given;
}

void
fake_take_none (Fake *self)
{
  g_autoptr(GError) error = NULL;
  AfrpcLinkItem item;
  AfrpcStep step = take (self, &item, &error);

  g_assert_no_error (error);
  g_assert_cmpint (step, ==, AFRPC_STEP_AGAIN);
}

void
fake_refused (Fake *self,
              int   code)
{
  g_autoptr(GError) error = NULL;
  g_auto(AfrpcLinkItem) item = { 0 };
  AfrpcStep step = take (self, &item, &error);

  g_assert_error (error, AFRPC_ERROR, code);
  g_assert_cmpint (step, ==, AFRPC_STEP_ERROR);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
}

int
fake_new_fd (struct stat *st)
{
  int fd = memfd_create ("test", MFD_CLOEXEC);

  g_assert_no_errno (fd);
  g_assert_no_errno (fstat (fd, st));

  return fd;
}

void
fake_check_fd (Fake              *self,
               const struct stat *st)
{
  struct stat received;
  int fd = afrpc_transport_take_fd (&self->worker);

  g_assert_no_errno (fstat (fd, &received));
  g_assert_cmpuint (st->st_ino, ==, received.st_ino);
  close (fd);
}

guint64
fake_call (Fake  *self,
           guint  number)
{
  const AfrpcLinkCall call = { .owner = GUINT_TO_POINTER (number) };
  g_autoptr(GVariant) args = g_variant_ref_sink (g_variant_new_uint32 (number));
  const AfrpcPayload payload = afrpc_payload (args);
  g_autoptr(GError) error = NULL;
  guint64 serial = afrpc_link_call (&self->link, &payload, &call, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (serial, !=, 0);

  return serial;
}
