/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which file a number is of. A module may close what is not its own, and open something else, which gets the number. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* All zeros: of none. Sockets and pipes have one each; an eventfd, say, has not. */
typedef struct
{
  guint64 device;
  guint64 inode;
} AfrpcFileId;

AfrpcFileId afrpc_file_id_get (int                fd);
gboolean    afrpc_file_id_is  (const AfrpcFileId *self,
                               int                fd);

G_END_DECLS
