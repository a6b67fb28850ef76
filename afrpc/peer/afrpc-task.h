/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tasks that wait for something which no thread does: they end when that has come, or when they are cancelled. */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

void afrpc_task_watch   (GTask          *task,
                         GSourceFunc     func,
                         gpointer        data,
                         GDestroyNotify  destroy);
void afrpc_task_unwatch (GTask          *task);

G_END_DECLS
