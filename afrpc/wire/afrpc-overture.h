/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a program says over a command before there is a host, to `afrpc host --receive`, which becomes the host then: so
 * nothing of it passes a shell, or is seen in a list of processes, and nothing else is sent to where nobody answers.
 *
 *   program:    AFRPC_OVERTURE_MAGIC
 *               size of the head, 8 bytes, little-endian
 *               head: a{sv}, little-endian
 *   other end:  if there are files: AFRPC_OVERTURE_WANTS, '1' or '0' for each of them, LF
 *   program:    the contents of those that are wanted, one behind the other
 *   other end:  AFRPC_OVERTURE_ARRIVED for each piece of them, of AFRPC_OVERTURE_PIECE bytes but for the last of a file, in
 *               between: what is written may be under way for long
 *   other end:  AFRPC_OVERTURE_ANSWER, a space, how many processors the user may have there, in decimal digits, LF
 *
 * Whoever cannot do it answers nothing, says why on standard error, and ends. The head has:
 *
 *   host     s    the language, or the path of a host program
 *   environ  aay  what to change of the environment, in this order: AfrpcOvertureChange, and a variable
 *   cwd      ay   the working directory
 *   files    a(sst)  modules: SHA-256 in hexadecimal digits, name without folders, size in bytes
 *
 * Files are kept there as AFRPC_OVERTURE_CACHE/SHA-256/NAME in the user's folder of caches, which is where a worker looks
 * that is told to load one.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_OVERTURE_MAGIC "afrpcin1" /* 8 bytes without the NUL */
#define AFRPC_OVERTURE_ANSWER "afrpcok1"
#define AFRPC_OVERTURE_WANTS "afrpcgo1"
#define AFRPC_OVERTURE_ARRIVED '.'
#define AFRPC_OVERTURE_WORD_SIZE 8u
#define AFRPC_OVERTURE_START_SIZE 16u       /* bytes before the head */
#define AFRPC_OVERTURE_HEAD_MAX (16u << 20) /* bytes */
#define AFRPC_OVERTURE_FILE_MAX (128u << 20) /* bytes of one */
#define AFRPC_OVERTURE_FILES_MAX 1024u
#define AFRPC_OVERTURE_PIECE (64u << 10)     /* bytes */
#define AFRPC_OVERTURE_CACHE "afrpc"

typedef enum
{
  AFRPC_OVERTURE_SET = '=',     /* NAME=value */
  AFRPC_OVERTURE_DEFAULT = '?', /* NAME=value, unless it is set */
  AFRPC_OVERTURE_UNSET = '-',   /* NAME */
  AFRPC_OVERTURE_CLEAR = '*',   /* all there are */
} AfrpcOvertureChange;

G_END_DECLS
