/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "transport/afrpc-pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "os/afrpc-reopen.h"

/* Remembers the last of @n bytes that were read, which a goodbye may be. */
static void
remember (AfrpcTransport     *self,
          const struct iovec *iov,
          gsize               n)
{
  for (; n > 0; iov++)
    {
      gsize here = MIN (n, iov->iov_len);
      gsize taken = MIN (here, sizeof self->last_bytes);
      gsize kept = MIN (self->n_last_bytes, sizeof self->last_bytes - taken);

      memmove (self->last_bytes, self->last_bytes + self->n_last_bytes - kept, kept);
      memcpy (self->last_bytes + kept, (const guint8 *) iov->iov_base + here - taken, taken);
      self->n_last_bytes = kept + taken;
      n -= here;
    }
}

static AfrpcStep
read_pipe (AfrpcTransport  *self,
           GError         **error)
{
  struct iovec iov[2];
  const guint n_iov = afrpc_reader_get_room (&self->reader, iov);
  gssize n;

  if (G_UNLIKELY (n_iov == 0))
    return AFRPC_STEP_DONE;
  do
    n = readv (self->in_fd, iov, n_iov);
  while (n < 0 && errno == EINTR);

  if (n > 0)
    {
      if (self->reader.guard_size > 0)
        remember (self, iov, n);
      afrpc_reader_add (&self->reader, n);
      return AFRPC_STEP_DONE;
    }
  if (n == 0 || errno == ECONNRESET)
    return AFRPC_STEP_EOF;
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    return self->peer_ended ? AFRPC_STEP_EOF : AFRPC_STEP_AGAIN;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "read: %s", g_strerror (errno));
  return AFRPC_STEP_ERROR;
}

/* Writing to a pipe that nobody reads is a signal, whose default is death, and what a program does about that is
 * its own affair: here it is an error. The signal would come to this thread. */
static gssize
write_without_signal (int                 fd,
                      const struct iovec *iov,
                      guint               n)
{
  const struct timespec now = { 0, 0 };
  sigset_t sigpipe, pending, before;
  gssize written;
  int saved_errno;

  sigemptyset (&sigpipe);
  sigaddset (&sigpipe, SIGPIPE);
  pthread_sigmask (SIG_BLOCK, &sigpipe, &before);
  sigpending (&pending);

  written = writev (fd, iov, n);
  saved_errno = errno;

  /* One that was there before stays. */
  if (written < 0 && saved_errno == EPIPE && sigismember (&pending, SIGPIPE) == 0)
    while (sigtimedwait (&sigpipe, NULL, &now) < 0 && errno == EINTR)
      ;
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  errno = saved_errno;

  return written;
}

static gssize
send_to_pipe (int               fd,
              AfrpcWriterBatch *batch)
{
  const struct msghdr message = { .msg_iov = batch->iov, .msg_iovlen = batch->n };
  gssize n = sendmsg (fd, &message, MSG_NOSIGNAL);

  return n < 0 && errno == ENOTSOCK ? write_without_signal (fd, batch->iov, batch->n) : n;
}

static AfrpcStep
flush_pipe (AfrpcTransport  *self,
            GError         **error)
{
  return afrpc_writer_flush (&self->writer, self->out_fd, send_to_pipe, error);
}

static void
end_sending (AfrpcTransport *self)
{
  if (shutdown (self->out_fd, SHUT_WR) == 0 || errno != ENOTSOCK)
    return;

  close (self->out_fd);
  self->out_fd = -1;
}

/* Whether a pipe blocks belongs to the open file, which others may use too: it is opened anew. A socket, or the pipe
 * of another user, cannot be, and does not block anybody any more. */
static void
set_fd_nonblocking (int fd,
                    int mode)
{
  const int anew = afrpc_reopen (fd, mode | O_NONBLOCK | O_NOCTTY);

  if (anew < 0)
    {
      fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) | O_NONBLOCK);
      return;
    }

  dup3 (anew, fd, O_CLOEXEC);
  close (anew);
}

static void
set_nonblocking (AfrpcTransport *self)
{
  set_fd_nonblocking (self->in_fd, self->out_fd == self->in_fd ? O_RDWR : O_RDONLY);
  if (self->out_fd != self->in_fd)
    set_fd_nonblocking (self->out_fd, O_WRONLY);
}

/* The goodbye may lie behind half a frame, and be the first half of one only. The end of the stream may never come: a
 * shell that waits for its commands holds the connection too. */
static AfrpcStep
look_for_end (AfrpcTransport  *self,
              AfrpcStep        step,
              GError         **error)
{
  if (self->goodbye_serial == 0)
    return step;

  if (!self->has_goodbye && self->n_last_bytes == AFRPC_FRAME_GOODBYE_SIZE)
    self->has_goodbye = afrpc_goodbye_decode (&self->goodbye, self->goodbye_serial, self->last_bytes);
  if (!self->has_goodbye && !afrpc_goodbye_is_begun (self->goodbye_serial, self->last_bytes, self->n_last_bytes))
    return step;

  g_clear_error (error);
  if (!self->has_goodbye)
    return AFRPC_STEP_AGAIN;

  self->is_complete = TRUE;
  return AFRPC_STEP_EOF;
}

/* The greeting announces a goodbye, which is told by this number. */
void
afrpc_pipes_expect_goodbye (AfrpcTransport *self,
                            guint64         serial)
{
  if (self->funcs == &afrpc_pipes_funcs)
    self->goodbye_serial = serial;
}

const AfrpcTransportFuncs afrpc_pipes_funcs = {
  .name = "pipes",
  .is_local = FALSE,
  .guard_size = AFRPC_FRAME_GUARD_SIZE,
  .read = read_pipe,
  .flush = flush_pipe,
  .end_sending = end_sending,
  .set_nonblocking = set_nonblocking,
  .look_for_end = look_for_end,
};
