/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Shared memory, in one process: what is refused, what cannot be changed, and what is used again when. */
#include "config.h"

#include "afrpc-buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "own-process.h"
#include "os/afrpc-sealed-memory.h"

#define SIZE ((gsize) 100000)
#define KINDS { AFRPC_BUFFER_DEFAULT, AFRPC_BUFFER_REUSED }

static AfrpcBuffer *
new_buffer (gsize            size,
            AfrpcBufferFlags flags)
{
  g_autoptr(GError) error = NULL;
  AfrpcBuffer *buffer = afrpc_buffer_new (size, flags, &error);

  g_assert_no_error (error);
  g_assert_nonnull (buffer);

  return buffer;
}

/* Sealed, and full of @fill. */
static AfrpcBuffer *
new_sealed (gsize            size,
            AfrpcBufferFlags flags,
            guint8           fill)
{
  g_autoptr(GError) error = NULL;
  AfrpcBuffer *buffer = new_buffer (size, flags);

  memset (afrpc_buffer_get_data (buffer), fill, size);
  g_assert_true (afrpc_buffer_seal (buffer, &error));
  g_assert_no_error (error);

  return buffer;
}

static AfrpcBuffer *
receive (AfrpcBuffer      *buffer,
         AfrpcBufferFlags  flags)
{
  g_autoptr(GError) error = NULL;
  int fd = fcntl (afrpc_buffer_get_fd (buffer), F_DUPFD_CLOEXEC, 0);
  AfrpcBuffer *received = afrpc_buffer_new_take_fd (fd, afrpc_buffer_get_size (buffer), flags, &error);

  g_assert_no_error (error);
  g_assert_nonnull (received);

  return received;
}

static void
assert_full_of (AfrpcBuffer *buffer,
                guint8       fill)
{
  g_autoptr(GBytes) bytes = afrpc_buffer_get_bytes (buffer);
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  g_assert_cmpuint (size, ==, afrpc_buffer_get_size (buffer));
  for (gsize i = 0; i < size; i++)
    if (data[i] != fill)
      g_assert_cmpuint (data[i], ==, fill);
}

static gboolean
is_same_file (AfrpcBuffer *left,
              AfrpcBuffer *right)
{
  struct stat left_stat, right_stat;

  g_assert_no_errno (fstat (afrpc_buffer_get_fd (left), &left_stat));
  g_assert_no_errno (fstat (afrpc_buffer_get_fd (right), &right_stat));

  return left_stat.st_ino == right_stat.st_ino;
}

static ino_t
get_inode (AfrpcBuffer *buffer)
{
  struct stat st;

  g_assert_no_errno (fstat (afrpc_buffer_get_fd (buffer), &st));

  return st.st_ino;
}

static void
test_buffer_build (void)
{
  const AfrpcBufferFlags kinds[] = KINDS;
  const gsize sizes[] = { 1, 4096, SIZE, 3 << 20 };
  const guint n_fds = own_process_count_fds ();

  g_test_summary ("What is built in a buffer is read where it lies, there and elsewhere");
  for (guint i = 0; i < G_N_ELEMENTS (kinds) * G_N_ELEMENTS (sizes); i++)
    {
      const AfrpcBufferFlags flags = kinds[i % 2];
      const gsize size = sizes[i / 2];
      g_autoptr(AfrpcBuffer) buffer = new_buffer (size, flags);
      g_autoptr(AfrpcBuffer) received = NULL;
      g_autoptr(GBytes) bytes = NULL;
      g_autoptr(GBytes) received_bytes = NULL;
      guint8 *data = afrpc_buffer_get_data (buffer);

      g_assert_cmpuint (afrpc_buffer_get_size (buffer), ==, size);
      g_assert_cmpuint ((guintptr) data % 4096, ==, 0);
      g_assert_false (afrpc_buffer_is_sealed (buffer));
      g_assert_cmpuint (data[0] + data[size - 1], ==, 0);
      for (gsize j = 0; j < size; j++)
        data[j] = j * 7 >> 4;
      afrpc_buffer_write (buffer, size - 1, (const guint8 *) "z", 1);
      afrpc_buffer_write (buffer, size, NULL, 0);
      g_assert_cmpuint (data[size - 1], ==, 'z');

      g_assert_true (afrpc_buffer_seal (buffer, NULL));
      g_assert_true (afrpc_buffer_seal (buffer, NULL));
      g_assert_true (afrpc_buffer_is_sealed (buffer));
      g_assert_null (afrpc_buffer_get_data (buffer));
      bytes = afrpc_buffer_get_bytes (buffer);
      g_assert_true (g_bytes_get_data (bytes, NULL) == data);
      g_assert_cmpuint (data[size / 2], ==, size == 1 ? 'z' : (guint8) (size / 2 * 7 >> 4));

      received = receive (buffer, flags);
      g_assert_true (afrpc_buffer_is_sealed (received));
      g_assert_null (afrpc_buffer_get_data (received));
      g_assert_true (is_same_file (buffer, received));
      received_bytes = afrpc_buffer_get_bytes (received);
      g_assert_true (g_bytes_equal (bytes, received_bytes));

      /* The bytes stay, and what was received can be passed on. */
      g_clear_pointer (&buffer, afrpc_buffer_unref);
      buffer = receive (received, flags);
      g_clear_pointer (&received, afrpc_buffer_unref);
      g_assert_true (g_bytes_equal (bytes, received_bytes));
    }
  afrpc_sealed_memory_drop_pooled ();
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_buffer_descriptors (void)
{
  const AfrpcBufferFlags kinds[] = KINDS;
  g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  g_autoptr(AfrpcBuffer) buffer = new_sealed (SIZE, AFRPC_BUFFER_REUSED, 'r');
  const guint n_fds = own_process_count_fds ();

  g_test_summary ("Bytes keep no descriptor open, unless their memory is to be used again by this process");
  for (guint i = 0; i < 100; i++)
    {
      g_autoptr(AfrpcBuffer) made = new_sealed (SIZE, AFRPC_BUFFER_DEFAULT, 'm');
      g_autoptr(AfrpcBuffer) received = receive (i % 2 == 0 ? made : buffer, kinds[i % 2]);
      AfrpcBuffer *another = afrpc_buffer_ref (received);

      /* As long as somebody may pass it on, it is there. */
      afrpc_buffer_unref (another);
      g_assert_cmpint (afrpc_buffer_get_fd (received), >=, 0);
      g_ptr_array_add (kept, afrpc_buffer_get_bytes (received));
      g_ptr_array_add (kept, afrpc_buffer_get_bytes (made));
    }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
  for (guint i = 0; i < kept->len; i++)
    {
      const char *data = g_bytes_get_data (kept->pdata[i], NULL);

      g_assert_cmpint (data[SIZE - 1], ==, i % 4 == 2 ? 'r' : 'm');
    }
}

/* Nothing can be done to the file behind @fd, be it opened again. */
static void
assert_unchangeable (int   fd,
                     gsize size)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  int again = open (path, O_RDWR | O_CLOEXEC);
  const int fds[] = { fd, again };

  g_assert_no_errno (again);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      g_assert_cmpint (pwrite (fds[i], "x", 1, 0), ==, -1);
      g_assert_cmpint (ftruncate (fds[i], size - 1), ==, -1);
      g_assert_cmpint (ftruncate (fds[i], size + 1), ==, -1);
      g_assert_cmpint (fallocate (fds[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), ==, -1);
      g_assert_true (mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0) == MAP_FAILED);
      g_assert_cmpint (fcntl (fds[i], F_ADD_SEALS, F_SEAL_WRITE), ==, -1);
    }
  close (again);
}

static void
test_buffer_unchangeable (void)
{
  const AfrpcBufferFlags kinds[] = KINDS;

  g_test_summary ("Nobody who gets a sealed buffer can change it");
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autoptr(AfrpcBuffer) buffer = new_sealed (SIZE, kinds[i], 'a');
      g_autoptr(AfrpcBuffer) received = receive (buffer, kinds[i]);

      assert_unchangeable (afrpc_buffer_get_fd (buffer), SIZE);
      assert_unchangeable (afrpc_buffer_get_fd (received), SIZE);
      assert_full_of (buffer, 'a');
      assert_full_of (received, 'a');
    }
}

static void
test_buffer_mapped_elsewhere (void)
{
  g_autoptr(AfrpcBuffer) buffer = new_buffer (SIZE, AFRPC_BUFFER_DEFAULT);
  g_autoptr(AfrpcBuffer) reused = new_buffer (SIZE, AFRPC_BUFFER_REUSED);
  g_autoptr(GError) error = NULL;
  guint8 *data = afrpc_buffer_get_data (buffer), *other;

  g_test_summary ("A buffer that is mapped for writing elsewhere is not sealed, and nothing is lost");
  g_assert_cmpint (afrpc_buffer_get_fd (reused), ==, -1);
  other = mmap (NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, afrpc_buffer_get_fd (buffer), 0);
  g_assert_true (other != MAP_FAILED);
  memset (other, 'a', SIZE);
  g_assert_false (afrpc_buffer_seal (buffer, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
  g_assert_false (afrpc_buffer_is_sealed (buffer));
  g_assert_true (afrpc_buffer_get_data (buffer) == data);
  memset (data, 'b', SIZE);
  g_assert_cmpuint (other[SIZE - 1], ==, 'b');

  munmap (other, SIZE);
  g_assert_true (afrpc_buffer_seal (buffer, NULL));
  assert_full_of (buffer, 'b');
}

/* A memfd of @size bytes, with these seals. */
static int
new_memfd (gsize size,
           int   seals)
{
  int fd = memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  g_assert_no_errno (ftruncate (fd, size));
  g_assert_no_errno (fcntl (fd, F_ADD_SEALS, seals));

  return fd;
}

static void
assert_refused (int         fd,
                gsize       size,
                const char *why)
{
  const AfrpcBufferFlags kinds[] = KINDS;

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autoptr(GError) error = NULL;
      int copy = fd >= 0 ? fcntl (fd, F_DUPFD_CLOEXEC, 0) : fd;

      g_assert_null (afrpc_buffer_new_take_fd (copy, size, kinds[i], &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
      g_assert_nonnull (strstr (error->message, why));
    }
  if (fd >= 0)
    close (fd);
}

static void
test_buffer_refused (void)
{
  const int size_seals = F_SEAL_SHRINK | F_SEAL_GROW;
  const guint n_fds = own_process_count_fds ();
  g_autofree char *path = g_strdup_printf ("%s/afrpc-test-fifo-%d", g_get_tmp_dir (), getpid ());
  int fds[2];
  FILE *file;

  g_test_summary ("What is not memory, or not sealed, or of another size, is refused at once and closed");
  assert_refused (-1, 0, "there is none");
  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
  assert_refused (fds[0], 0, "not shared memory");
  assert_refused (fds[1], 0, "not shared memory");
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  assert_refused (fds[0], 0, "not shared memory");
  close (fds[1]);
  assert_refused (open ("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0, "not shared memory");
  assert_refused (open ("/", O_PATH | O_CLOEXEC), 0, "not shared memory");
  assert_refused (open ("/dev/zero", O_RDWR | O_CLOEXEC), 0, "not shared memory");
  assert_refused (open ("/proc/self/mem", O_RDWR | O_CLOEXEC), 0, "not shared memory");
  assert_refused (eventfd (0, EFD_CLOEXEC), 0, "not shared memory");
  g_assert_no_errno (mkfifo (path, 0600));
  assert_refused (open (path, O_RDWR | O_CLOEXEC), 0, "not shared memory");
  unlink (path);
  file = tmpfile ();
  g_assert_no_errno (ftruncate (fileno (file), SIZE));
  assert_refused (fcntl (fileno (file), F_DUPFD_CLOEXEC, 0), SIZE, "s"); /* it depends on where it lies */
  fclose (file);

  assert_refused (memfd_create ("test", MFD_CLOEXEC), 0, "its size is not sealed");
  assert_refused (new_memfd (SIZE, 0), SIZE, "its size is not sealed");
  assert_refused (new_memfd (SIZE, F_SEAL_WRITE | F_SEAL_GROW), SIZE, "its size is not sealed");
  assert_refused (new_memfd (SIZE, F_SEAL_WRITE | F_SEAL_SHRINK), SIZE, "its size is not sealed");
  assert_refused (new_memfd (SIZE, F_SEAL_SEAL), SIZE, "its size is not sealed");
  assert_refused (new_memfd (SIZE, size_seals), SIZE, "not sealed against writing");
#ifdef F_SEAL_FUTURE_WRITE
  {
    g_autoptr(GError) error = NULL;

    g_assert_null (afrpc_buffer_new_take_fd (new_memfd (SIZE, size_seals | F_SEAL_FUTURE_WRITE), SIZE, 0, &error));
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
    g_assert_nonnull (strstr (error->message, "AFRPC_BUFFER_REUSED accepts that"));
  }
#endif
  assert_refused (new_memfd (0, size_seals | F_SEAL_WRITE), 0, "it is empty");
  assert_refused (new_memfd (SIZE, size_seals | F_SEAL_WRITE), SIZE + 1, "it has 100000 bytes, not 100001");
  assert_refused (new_memfd (SIZE, size_seals | F_SEAL_WRITE), SIZE - 1, "it has 100000 bytes, not 99999");
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);

  /* Whoever made it. */
  {
    g_autoptr(GError) error = NULL;
    g_autoptr(AfrpcBuffer) buffer =
      afrpc_buffer_new_take_fd (new_memfd (SIZE, size_seals | F_SEAL_WRITE), 0, AFRPC_BUFFER_DEFAULT, &error);

    g_assert_no_error (error);
    assert_full_of (buffer, 0);
  }
}

static void
test_buffer_reused_refused (void)
{
  g_autoptr(AfrpcBuffer) buffer = new_sealed (SIZE, AFRPC_BUFFER_REUSED, 'a');
  g_autoptr(AfrpcBuffer) plain = new_sealed (SIZE, AFRPC_BUFFER_DEFAULT, 'b');
  g_autoptr(AfrpcBuffer) received = NULL;
  g_autoptr(GError) error = NULL;
  int fd = fcntl (afrpc_buffer_get_fd (buffer), F_DUPFD_CLOEXEC, 0);

  g_test_summary ("A buffer whose memory is going to be used again is refused unless that is accepted");
  g_assert_null (afrpc_buffer_new_take_fd (fd, SIZE, AFRPC_BUFFER_DEFAULT, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
  received = receive (buffer, AFRPC_BUFFER_REUSED);
  assert_full_of (received, 'a');
  g_clear_pointer (&received, afrpc_buffer_unref);
  received = receive (plain, AFRPC_BUFFER_REUSED);
  assert_full_of (received, 'b');
}

static void
test_buffer_again (void)
{
  AfrpcBuffer *buffer;
  ino_t inode;

  g_test_summary ("Memory that was dropped is used again, in the same size only");
  afrpc_sealed_memory_drop_pooled ();
  buffer = new_sealed (SIZE, AFRPC_BUFFER_REUSED, 'a');
  inode = get_inode (buffer);
  for (guint i = 0; i < 10; i++)
    {
      g_autoptr(AfrpcBuffer) plain = NULL;
      g_autoptr(AfrpcBuffer) other = NULL;

      g_clear_pointer (&buffer, afrpc_buffer_unref);
      plain = new_sealed (SIZE, AFRPC_BUFFER_DEFAULT, 'x');
      other = new_sealed (SIZE + 1, AFRPC_BUFFER_REUSED, 'y');
      g_assert_cmpuint (get_inode (plain), !=, inode);
      g_assert_cmpuint (get_inode (other), !=, inode);

      buffer = new_buffer (SIZE, AFRPC_BUFFER_REUSED);
      g_assert_false (afrpc_buffer_is_sealed (buffer));
      g_assert_cmpuint (afrpc_buffer_get_data (buffer)[SIZE / 2], ==, 'a' + i);
      memset (afrpc_buffer_get_data (buffer), 'b' + i, SIZE);
      g_assert_true (afrpc_buffer_seal (buffer, NULL));
      g_assert_cmpuint (get_inode (buffer), ==, inode);
      assert_unchangeable (afrpc_buffer_get_fd (buffer), SIZE);
    }
  afrpc_buffer_unref (buffer);

  /* Also what nobody sealed. */
  buffer = new_buffer (SIZE, AFRPC_BUFFER_REUSED);
  afrpc_buffer_unref (buffer);
  buffer = new_sealed (SIZE, AFRPC_BUFFER_REUSED, 'c');
  g_assert_cmpuint (get_inode (buffer), ==, inode);
  afrpc_buffer_unref (buffer);
}

/* Whether a new buffer uses the memory of @inode. */
static gboolean
is_used_again (ino_t inode)
{
  g_autoptr(AfrpcBuffer) buffer = new_sealed (SIZE, AFRPC_BUFFER_REUSED, 'z');

  return get_inode (buffer) == inode;
}

static void
send_fd (int socket,
         int fd)
{
  union { struct cmsghdr header; char bytes[CMSG_SPACE (sizeof fd)]; } control = { 0 };
  struct iovec iov = { (void *) "x", 1 };
  struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };

  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN (sizeof fd);
  memcpy (CMSG_DATA (&control.header), &fd, sizeof fd);
  g_assert_cmpint (sendmsg (socket, &message, 0), ==, 1);
}

static void
test_buffer_in_use (void)
{
  g_autoptr(AfrpcBuffer) received = NULL;
  g_autoptr(GBytes) bytes = NULL;
  guint8 *mapped;
  char *path;
  ino_t inode;
  int fd, fds[2];
  char byte;

  g_test_summary ("Memory is not used again while anybody has it, in whatever way");
  afrpc_sealed_memory_drop_pooled ();
  {
    g_autoptr(AfrpcBuffer) buffer = new_sealed (SIZE, AFRPC_BUFFER_REUSED, 'a');

    inode = get_inode (buffer);
    fd = fcntl (afrpc_buffer_get_fd (buffer), F_DUPFD_CLOEXEC, 0);
    bytes = afrpc_buffer_get_bytes (buffer);
  }

  /* Bytes of the writer itself. */
  g_assert_false (is_used_again (inode));
  g_clear_pointer (&bytes, g_bytes_unref);

  /* A descriptor; on its way; behind a mapping; and opened again. */
  g_assert_false (is_used_again (inode));
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  send_fd (fds[0], fd);
  path = g_strdup_printf ("/proc/self/fd/%d", fd);
  close (fd);
  g_assert_false (is_used_again (inode));
  {
    union { struct cmsghdr header; char data[CMSG_SPACE (sizeof fd)]; } control;
    struct iovec iov = { &byte, 1 };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = sizeof control };

    g_assert_cmpint (recvmsg (fds[1], &message, MSG_CMSG_CLOEXEC), ==, 1);
    memcpy (&fd, CMSG_DATA (&control.header), sizeof fd);
  }
  close (fds[0]);
  close (fds[1]);
  g_assert_false (is_used_again (inode));
  mapped = mmap (NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
  g_assert_true (mapped != MAP_FAILED);
  g_free (path);
  path = g_strdup_printf ("/proc/self/fd/%d", fd);
  {
    int again = open (path, O_RDWR | O_CLOEXEC);

    g_assert_no_errno (again);
    close (fd);
    munmap (mapped, SIZE);
    g_assert_false (is_used_again (inode));
    mapped = mmap (NULL, SIZE, PROT_READ, MAP_PRIVATE, again, 0);
    g_assert_true (mapped != MAP_FAILED);
    close (again);
  }
  g_assert_false (is_used_again (inode));
  g_assert_cmpuint (mapped[SIZE - 1], ==, 'a');
  munmap (mapped, SIZE);
  g_free (path);

  g_assert_true (is_used_again (inode));
}

static void
test_buffer_reader_dies (void)
{
  g_autoptr(AfrpcBuffer) buffer = NULL;
  int status, fds[2];
  ino_t inode;
  pid_t pid;
  char byte;

  g_test_summary ("What a reader had when it died is used again");
  afrpc_sealed_memory_drop_pooled ();
  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
  buffer = new_sealed (SIZE, AFRPC_BUFFER_REUSED, 'a');
  inode = get_inode (buffer);
  pid = fork ();
  g_assert_no_errno (pid);
  if (pid == 0)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      g_assert_no_errno (write (fds[1], "x", 1));
      for (;;)
        pause ();
    }
  g_assert_cmpint (read (fds[0], &byte, 1), ==, 1);
  close (fds[0]);
  close (fds[1]);
  g_clear_pointer (&buffer, afrpc_buffer_unref);
  g_assert_false (is_used_again (inode));

  kill (pid, SIGKILL);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (is_used_again (inode));
}

static void
test_buffer_fork (void)
{
  g_autoptr(AfrpcBuffer) buffer = NULL;
  int status;
  pid_t pid;

  g_test_summary ("A process that was forked does not use the memory of the other");
  afrpc_sealed_memory_drop_pooled ();
  buffer = new_sealed (SIZE, AFRPC_BUFFER_REUSED, 'a');
  g_clear_pointer (&buffer, afrpc_buffer_unref);
  g_assert_cmpuint (afrpc_sealed_memory_get_pooled (), ==, SIZE);
  buffer = new_sealed (SIZE / 2, AFRPC_BUFFER_REUSED, 'b');
  pid = fork ();
  g_assert_no_errno (pid);
  if (pid == 0)
    {
      AfrpcBuffer *own = afrpc_buffer_new (SIZE, AFRPC_BUFFER_REUSED, NULL);
      gboolean ok = own != NULL && afrpc_buffer_get_data (own)[0] == 0;

      ok = ok && afrpc_sealed_memory_get_pooled () == 0;
      afrpc_buffer_unref (buffer);
      ok = ok && afrpc_sealed_memory_get_pooled () == 0;
      afrpc_buffer_unref (own);
      afrpc_sealed_memory_drop_pooled ();
      _exit (ok ? 0 : 1);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
}

static void
test_buffer_pool_bounds (void)
{
  const guint n = AFRPC_SEALED_MEMORY_POOL_MAX + 5;
  AfrpcBuffer *buffers[AFRPC_SEALED_MEMORY_POOL_MAX + 5];
  const guint n_fds = own_process_count_fds ();

  g_test_summary ("The pool has a limit in pieces and in bytes");
  afrpc_sealed_memory_drop_pooled ();
  for (guint i = 0; i < n; i++)
    buffers[i] = new_buffer (4096, AFRPC_BUFFER_REUSED);
  for (guint i = 0; i < n; i++)
    afrpc_buffer_unref (buffers[i]);
  g_assert_cmpuint (afrpc_sealed_memory_get_pooled (), ==, AFRPC_SEALED_MEMORY_POOL_MAX * 4096);
  g_assert_cmpuint (own_process_count_fds (), <=, n_fds + AFRPC_SEALED_MEMORY_POOL_MAX);

  /* It is not touched, so it is no memory yet. */
  afrpc_buffer_unref (new_buffer (AFRPC_SEALED_MEMORY_POOL_SIZE_MAX, AFRPC_BUFFER_REUSED));
  g_assert_cmpuint (afrpc_sealed_memory_get_pooled (), ==, AFRPC_SEALED_MEMORY_POOL_SIZE_MAX);
  afrpc_buffer_unref (new_buffer (AFRPC_SEALED_MEMORY_POOL_SIZE_MAX + 1, AFRPC_BUFFER_REUSED));
  g_assert_cmpuint (afrpc_sealed_memory_get_pooled (), ==, AFRPC_SEALED_MEMORY_POOL_SIZE_MAX);
  afrpc_sealed_memory_drop_pooled ();
  g_assert_cmpuint (afrpc_sealed_memory_get_pooled (), ==, 0);
}

static void
test_buffer_limits (void)
{
  const AfrpcBufferFlags kinds[] = KINDS;
  struct rlimit before, limit;
  AfrpcBuffer *none;
  guint64 n_fds_max;

  g_test_summary ("What cannot be had is an error, and no signal");
  if (own_process_is_under_valgrind ())
    {
      g_test_skip ("valgrind does not limit what it runs");
      return;
    }

  afrpc_sealed_memory_drop_pooled ();
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autoptr(AfrpcBuffer) buffer = NULL;
      g_autoptr(GError) error = NULL;

      g_assert_no_errno (getrlimit (RLIMIT_FSIZE, &before));
      limit = before;
      limit.rlim_cur = SIZE;
      g_assert_no_errno (setrlimit (RLIMIT_FSIZE, &limit));
      none = afrpc_buffer_new (SIZE + 1, kinds[i], &error);
      buffer = afrpc_buffer_new (SIZE, kinds[i], NULL);
      g_assert_no_errno (setrlimit (RLIMIT_FSIZE, &before));
      g_assert_null (none);
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
      g_assert_nonnull (buffer);
      g_clear_error (&error);

      none = afrpc_buffer_new (G_MAXSIZE, kinds[i], &error);
      g_assert_null (none);
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
      g_clear_error (&error);
      /* More than there are addresses. */
      none = afrpc_buffer_new ((gsize) 1 << 62, kinds[i], &error);
      g_assert_null (none);
      g_assert_nonnull (error);
      g_clear_error (&error);

      n_fds_max = own_process_limit_fds (0);
      none = afrpc_buffer_new (SIZE, kinds[i], &error);
      g_assert_null (none);
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
      /* What is there can be sealed, once. */
      g_assert_true (afrpc_buffer_seal (buffer, NULL));
      own_process_limit_fds (n_fds_max);
      assert_full_of (buffer, 0);
      g_assert_cmpuint (afrpc_sealed_memory_get_pooled (), ==, 0);
    }

  /* Memory that was used before needs a descriptor for its readers. */
  {
    g_autoptr(AfrpcBuffer) buffer = NULL;
    g_autoptr(GError) error = NULL;
    gboolean ok;

    afrpc_buffer_unref (new_sealed (SIZE, AFRPC_BUFFER_REUSED, 'a'));
    buffer = new_buffer (SIZE, AFRPC_BUFFER_REUSED);
    n_fds_max = own_process_limit_fds (0);
    ok = afrpc_buffer_seal (buffer, &error);
    own_process_limit_fds (n_fds_max);
    g_assert_false (ok);
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
    g_assert_true (afrpc_buffer_seal (buffer, NULL));
    assert_full_of (buffer, 'a');
  }
}

#define N_THREADS 4
#define N_ROUNDS 500

/* Bytes on their way to another thread. With a lock that the thread sanitizer sees, which a GAsyncQueue has not. */
typedef struct
{
  GMutex mutex;
  GQueue bytes;
} Way;

/* Checks and drops what comes. */
static gpointer
read_thread (gpointer data)
{
  Way *way = data;
  guint n_read = 0;

  while (n_read < N_ROUNDS)
    {
      g_autoptr(GBytes) bytes = NULL;
      const guint8 *first;
      gsize size;

      g_mutex_lock (&way->mutex);
      bytes = g_queue_pop_head (&way->bytes);
      g_mutex_unlock (&way->mutex);
      if (bytes == NULL)
        {
          g_thread_yield ();
          continue;
        }

      first = g_bytes_get_data (bytes, &size);
      g_assert_cmpuint (size, ==, 3 * 4096);
      for (gsize i = 0; i < size; i += 1000)
        g_assert_cmpuint (first[i], ==, first[0]);
      n_read++;
    }

  return NULL;
}

static void
test_buffer_threads (void)
{
  GThread *threads[N_THREADS];
  Way ways[N_THREADS];

  g_test_summary ("Bytes of buffers are used and dropped in any thread, and none is overwritten before");
  for (guint i = 0; i < N_THREADS; i++)
    {
      g_mutex_init (&ways[i].mutex);
      g_queue_init (&ways[i].bytes);
      threads[i] = g_thread_new ("read", read_thread, &ways[i]);
    }
  for (guint i = 0; i < N_ROUNDS * N_THREADS; i++)
    {
      g_autoptr(AfrpcBuffer) buffer = new_sealed (3 * 4096, AFRPC_BUFFER_REUSED, i);
      g_autoptr(AfrpcBuffer) received = receive (buffer, AFRPC_BUFFER_REUSED);
      Way *way = &ways[i % N_THREADS];

      g_mutex_lock (&way->mutex);
      g_queue_push_tail (&way->bytes, afrpc_buffer_get_bytes (i % 3 == 0 ? buffer : received));
      g_mutex_unlock (&way->mutex);
    }
  for (guint i = 0; i < N_THREADS; i++)
    {
      g_thread_join (threads[i]);
      g_mutex_clear (&ways[i].mutex);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/buffer/build", test_buffer_build);
  g_test_add_func ("/buffer/descriptors", test_buffer_descriptors);
  g_test_add_func ("/buffer/unchangeable", test_buffer_unchangeable);
  g_test_add_func ("/buffer/mapped-elsewhere", test_buffer_mapped_elsewhere);
  g_test_add_func ("/buffer/refused", test_buffer_refused);
  g_test_add_func ("/buffer/reused-refused", test_buffer_reused_refused);
  g_test_add_func ("/buffer/again", test_buffer_again);
  g_test_add_func ("/buffer/in-use", test_buffer_in_use);
  g_test_add_func ("/buffer/reader-dies", test_buffer_reader_dies);
  g_test_add_func ("/buffer/fork", test_buffer_fork);
  g_test_add_func ("/buffer/pool-bounds", test_buffer_pool_bounds);
  g_test_add_func ("/buffer/limits", test_buffer_limits);
  g_test_add_func ("/buffer/threads", test_buffer_threads);

  return g_test_run ();
}
