/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a fuzz target has. libFuzzer brings a main function of its own; fuzz-main.c has another, for a program that
 * runs over the files, and the files in the folders, that are its arguments. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

int LLVMFuzzerTestOneInput (const guint8 *data,
                            size_t        size);

G_END_DECLS
