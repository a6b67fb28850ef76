/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Errors of a foreign process, and which error domains keep their codes on the way. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

void    afrpc_error_domains_add    (GQuark    domain);
gboolean afrpc_error_domains_can_unpack (GVariant *value);
GError *afrpc_error_domains_unpack (GVariant *value);

G_END_DECLS
