/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "transport/afrpc-shared-state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "own-process.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)

static AfrpcSharedState *
create_page (int *fd)
{
  g_autoptr(GError) error = NULL;
  AfrpcSharedState *page = afrpc_shared_state_create (fd, &error);

  g_assert_no_error (error);
  g_assert_nonnull (page);
  g_assert_cmpint (*fd, >=, 0);

  return page;
}

static void
test_shared_state_shared (void)
{
  g_autoptr(GError) error = NULL;
  int fd = -1;
  AfrpcSharedState *page = create_page (&fd);
  AfrpcSharedState *other = afrpc_shared_state_map (fd, &error);

  g_test_summary ("Both sides see the same memory, all zero at first, also when the descriptor is "
                  "gone");
  g_assert_no_error (error);
  g_assert_true (other != page);
  close (fd);

  for (gsize i = 0; i < sizeof *page / sizeof (guint64); i++)
    g_assert_cmpuint (((guint64 *) page)[i], ==, 0);
  for (gsize i = 0; i < AFRPC_SHARED_STATE_RING_SIZE; i++)
    g_assert_cmpuint (((guint8 *) page - AFRPC_SHARED_STATE_RING_SIZE)[i], ==, 0);
  page->started = 5;
  page->words[AFRPC_SHARED_STATE_WORDS - 1].cancelled = 6;
  other->words[0].cancelled = 7;
  g_assert_cmpuint (other->started, ==, 5);
  g_assert_cmpuint (other->words[AFRPC_SHARED_STATE_WORDS - 1].cancelled, ==, 6);
  g_assert_cmpuint (page->words[0].cancelled, ==, 7);

  afrpc_shared_state_unmap (page);
  g_assert_cmpuint (other->started, ==, 5);
  afrpc_shared_state_unmap (other);
  afrpc_shared_state_unmap (NULL);
}

static void
test_shared_state_seals (void)
{
  int fd = -1;
  AfrpcSharedState *page = create_page (&fd);
  struct stat st;

  g_test_summary ("Nobody can resize the memory and make the other side fault");
  g_assert_cmpint (ftruncate (fd, 0), ==, -1);
  g_assert_cmpint (errno, ==, EPERM);
  g_assert_cmpint (ftruncate (fd, 2 * AFRPC_SHARED_STATE_SIZE), ==, -1);
  g_assert_cmpint (errno, ==, EPERM);
  g_assert_cmpint (fcntl (fd, F_ADD_SEALS, F_SEAL_WRITE), ==, -1);
  g_assert_cmpint (errno, ==, EPERM);
  g_assert_no_errno (fstat (fd, &st));
  g_assert_cmpint (st.st_size, ==, AFRPC_SHARED_STATE_SIZE);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);

  afrpc_shared_state_unmap (page);
  close (fd);
}

static void
check_map (gsize    size,
           int      seals,
           gboolean expected)
{
  g_autoptr(GError) error = NULL;
  int fd = memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  AfrpcSharedState *page;

  g_assert_no_errno (fd);
  g_assert_no_errno (ftruncate (fd, size));
  g_assert_no_errno (fcntl (fd, F_ADD_SEALS, seals));
  page = afrpc_shared_state_map (fd, &error);
  if (expected)
    g_assert_no_error (error);
  else
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
  g_assert_cmpint (page != NULL, ==, expected);

  /* The descriptor is still ours. */
  g_assert_no_errno (fcntl (fd, F_GETFD));
  afrpc_shared_state_unmap (page);
  close (fd);
}

static void
test_shared_state_refused (void)
{
  g_test_summary ("Memory that is not sealed, or of another size, is refused");
  check_map (AFRPC_SHARED_STATE_SIZE, SEALS, TRUE);
  check_map (AFRPC_SHARED_STATE_SIZE - 1, SEALS, FALSE);
  check_map (AFRPC_SHARED_STATE_SIZE + 1, SEALS, FALSE);
  check_map (4096, SEALS, FALSE);
  check_map (0, SEALS, FALSE);
  check_map (AFRPC_SHARED_STATE_SIZE, 0, FALSE);
  check_map (AFRPC_SHARED_STATE_SIZE, SEALS & ~F_SEAL_SEAL, FALSE);
  check_map (AFRPC_SHARED_STATE_SIZE, SEALS & ~F_SEAL_SHRINK, FALSE);
  check_map (AFRPC_SHARED_STATE_SIZE, SEALS & ~F_SEAL_GROW, FALSE);
}

static void
assert_not_mapped (int         fd,
                   AfrpcError  code)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (afrpc_shared_state_map (fd, &error));
  g_assert_error (error, AFRPC_ERROR, (int) code);
  if (fd >= 0)
    close (fd);
}

static void
test_shared_state_no_memfd (void)
{
  g_autofree char *path = NULL;
  int fds[2], fd, memfd;

  g_test_summary ("What is no shared memory, or cannot be written, is refused");
  assert_not_mapped (-1, AFRPC_ERROR_PROTOCOL);
  assert_not_mapped (open ("/dev/zero", O_RDWR | O_CLOEXEC), AFRPC_ERROR_PROTOCOL);
  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
  assert_not_mapped (fds[0], AFRPC_ERROR_PROTOCOL);
  assert_not_mapped (fds[1], AFRPC_ERROR_PROTOCOL);

  g_assert_no_errno (fd = g_file_open_tmp ("afrpc-XXXXXX", &path, NULL));
  g_assert_no_errno (unlink (path));
  g_assert_no_errno (ftruncate (fd, AFRPC_SHARED_STATE_SIZE));
  assert_not_mapped (fd, AFRPC_ERROR_PROTOCOL);

  g_assert_no_errno (memfd = memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  g_assert_no_errno (ftruncate (memfd, AFRPC_SHARED_STATE_SIZE));
  g_assert_no_errno (fcntl (memfd, F_ADD_SEALS, SEALS | F_SEAL_WRITE));
  assert_not_mapped (memfd, AFRPC_ERROR_SPAWN);
}

static void
test_shared_state_no_fd_left (void)
{
  g_autoptr(GError) error = NULL;
  AfrpcSharedState *page;
  guint64 n_fds_max;
  int fd = -2;

  g_test_summary ("Without a descriptor to be had there is an error, and no page");
  n_fds_max = own_process_limit_fds (0);
  page = afrpc_shared_state_create (&fd, &error);
  own_process_limit_fds (n_fds_max);

  g_assert_null (page);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
  g_assert_nonnull (strstr (error->message, g_strerror (EMFILE)));
  g_assert_cmpint (fd, ==, -2);
}

static void
test_shared_state_bits (void)
{
  int fd = -1;
  AfrpcSharedState *page = create_page (&fd);
  const guint64 serial = (guint64) 7 << AFRPC_SERIAL_SLOT_BITS | 3;
  const guint64 last = (guint64) 8 << AFRPC_SERIAL_SLOT_BITS | (AFRPC_SERIAL_SLOTS_MAX - 1);

  g_test_summary ("Each slot has a bit of its own");
  g_assert_false (afrpc_shared_state_is_cancelled (NULL, serial));
  g_assert_true (afrpc_shared_state_word (page, 0) == page->words);
  g_assert_true (afrpc_shared_state_word (page, G_MAXUINT64) == page->words + AFRPC_SHARED_STATE_WORDS - 1);

  afrpc_shared_state_cancel (page, serial);
  afrpc_shared_state_cancel (page, last);
  for (guint64 slot = 0; slot < AFRPC_SERIAL_SLOTS_MAX; slot++)
    g_assert_cmpint (afrpc_shared_state_is_cancelled (page, slot), ==, slot == 3 || slot == AFRPC_SERIAL_SLOTS_MAX - 1);
  afrpc_shared_state_forget (page, serial);
  g_assert_false (afrpc_shared_state_is_cancelled (page, serial));
  g_assert_true (afrpc_shared_state_is_cancelled (page, last));

  afrpc_shared_state_start (page, serial);
  g_assert_cmpuint (afrpc_shared_state_get_started (page), ==, serial);

  afrpc_shared_state_unmap (page);
  close (fd);
}

static void
check_parts (AfrpcSharedState *page,
             guint64           serial,
             guint64           n_begun,
             const char       *saved) /* (nullable) */
{
  guint64 n;
  g_autoptr(GBytes) bytes = afrpc_shared_state_copy_parts (page, serial, &n);

  g_assert_cmpuint (n, ==, n_begun);
  if (saved == NULL)
    g_assert_null (bytes);
  else
    g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), saved, strlen (saved));
}

static void
test_shared_state_parts (void)
{
  g_autofree char *large = g_malloc0 (AFRPC_SHARED_STATE_SAVED_SIZE);
  int fd = -1;
  AfrpcSharedState *page = create_page (&fd);

  g_test_summary ("What is said of the parts of a call is said of no other, and believed only as far as there is room");
  check_parts (page, 7, 0, NULL);
  afrpc_shared_state_begin_parts (page, 7);
  check_parts (page, 7, 0, NULL);
  afrpc_shared_state_begin_part (page);
  check_parts (page, 7, 1, NULL);
  g_assert_true (afrpc_shared_state_save (page, 7, "ab", 2));
  afrpc_shared_state_begin_part (page);
  g_assert_true (afrpc_shared_state_save (page, 7, "c", 1));
  check_parts (page, 7, 2, "abc");
  check_parts (page, 8, 0, NULL);
  g_assert_false (afrpc_shared_state_save (page, 8, "d", 1));
  g_assert_false (afrpc_shared_state_save (page, 7, large, AFRPC_SHARED_STATE_SAVED_SIZE - 2));
  check_parts (page, 7, 2, "abc");

  afrpc_shared_state_begin_parts (page, 8);
  check_parts (page, 7, 0, NULL);
  check_parts (page, 8, 0, NULL);
  g_assert_true (afrpc_shared_state_save (page, 8, large, AFRPC_SHARED_STATE_SAVED_SIZE));
  g_assert_false (afrpc_shared_state_save (page, 8, "", 1));

  page->n_bytes_saved = AFRPC_SHARED_STATE_SAVED_SIZE + 1;
  check_parts (page, 8, 0, NULL);
  g_assert_false (afrpc_shared_state_save (page, 8, "", 0));
  page->n_bytes_saved = G_MAXUINT64;
  check_parts (page, 8, 0, NULL);

  afrpc_shared_state_unmap (page);
  close (fd);
}

typedef struct
{
  AfrpcSharedState *page;
  gboolean is_over; /* atomic */
} Writer;

#define SAVED_SIZE 4096

static gpointer
writer_thread (gpointer data)
{
  Writer *self = data;
  guint8 bytes[SAVED_SIZE];

  for (guint64 serial = 1; !g_atomic_int_get (&self->is_over); serial++)
    {
      memset (bytes, serial, sizeof bytes);
      afrpc_shared_state_begin_parts (self->page, serial);
      afrpc_shared_state_begin_part (self->page);
      afrpc_shared_state_save (self->page, serial, bytes, sizeof bytes);
    }

  return NULL;
}

static void
test_shared_state_parts_alive (void)
{
  int fd = -1;
  Writer writer = { create_page (&fd), FALSE };
  GThread *thread = g_thread_new ("writer", writer_thread, &writer);
  guint n_seen = 0;

  g_test_summary ("What is copied while the worker goes on is of one call");
  while (n_seen < 20000)
    {
      const guint64 serial = __atomic_load_n (&writer.page->parts_serial, __ATOMIC_SEQ_CST);
      guint64 n;
      g_autoptr(GBytes) bytes = serial != 0 ? afrpc_shared_state_copy_parts (writer.page, serial, &n) : NULL;
      const guint8 *data = bytes != NULL ? g_bytes_get_data (bytes, NULL) : NULL;

      if (bytes == NULL)
        continue;
      n_seen++;
      g_assert_cmpuint (n, ==, 1);
      for (guint i = 0; i < SAVED_SIZE; i++)
        g_assert_cmpuint (data[i], ==, (guint8) serial);
    }
  g_atomic_int_set (&writer.is_over, TRUE);
  g_thread_join (thread);

  afrpc_shared_state_unmap (writer.page);
  close (fd);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/shared-state/parts", test_shared_state_parts);
  g_test_add_func ("/shared-state/parts-alive", test_shared_state_parts_alive);
  g_test_add_func ("/shared-state/shared", test_shared_state_shared);
  g_test_add_func ("/shared-state/seals", test_shared_state_seals);
  g_test_add_func ("/shared-state/refused", test_shared_state_refused);
  g_test_add_func ("/shared-state/no-memfd", test_shared_state_no_memfd);
  g_test_add_func ("/shared-state/no-fd-left", test_shared_state_no_fd_left);
  g_test_add_func ("/shared-state/bits", test_shared_state_bits);

  return g_test_run ();
}
