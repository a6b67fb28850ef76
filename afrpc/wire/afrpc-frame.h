/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The header of a frame, and the limits of what it may announce. Pure: no I/O, no state.
 *
 *   offset  size  field
 *        0     1  kind
 *        1     1  flags
 *        2     2  number of file descriptors that travel with the frame's first byte
 *        4     1  length of the type string, without a NUL
 *        5     1  zero
 *        6     2  of a call: the number of the function, 0 for the one that the worker was given first
 *        8     8  serial: which call the frame belongs to, or 0; the magic number in a greeting
 *       16     8  size of the payload in bytes
 *       24        type string, zero-padded to a multiple of 8
 *                 payload, zero-padded to a multiple of 8
 *
 * The header is little-endian. A payload that is a GVariant is in the byte order that the flag
 * says. Everything starts at a multiple of 8, so that a GVariant can be read in place.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_FRAME_PROTOCOL_VERSION 1u
#define AFRPC_FRAME_MAGIC G_GUINT64_CONSTANT (0x0a31637072666100) /* NUL "afrpc1" LF */

#define AFRPC_FRAME_HEADER_SIZE 24u /* bytes */
#define AFRPC_FRAME_TYPE_MAX 255u   /* characters in a type string, as in D-Bus */
#define AFRPC_FRAME_FDS_MAX 253u    /* what one sendmsg() can carry: SCM_MAX_FD of unix(7) */

#define AFRPC_FRAME_FUNCTION_MAX 1023u /* the largest number of a function */

#define AFRPC_FRAME_PREPARE_SIZE_MAX (128u << 20) /* bytes: a payload sent to prepare a worker */
#define AFRPC_FRAME_ANSWER_SIZE_MAX (1u << 20)    /* bytes: a payload of the answer to that */
#define AFRPC_FRAME_PARTS_SIZE_MAX 66560u         /* bytes that the answer to a call of many may have beyond the limit of a
                                                   * message: the results before the last one, and what is around that */
#define AFRPC_FRAME_LOG_SIZE_MAX (128u << 10)     /* bytes: a payload that is a line of the log */

typedef enum
{
  /* Both ways, first of all. */
  AFRPC_FRAME_HELLO = 1,   /* a{sv} */

  /* To the worker while it is being prepared, in this order. */
  AFRPC_FRAME_REQUIRE = 2, /* s: module; (ss): SHA-256 and name of one that was sent, see afrpc-overture.h */
  AFRPC_FRAME_EVAL = 3,    /* (sv): code, arguments */
  AFRPC_FRAME_ARG = 4,     /* v */
  AFRPC_FRAME_FD = 5,      /* one file descriptor */
  AFRPC_FRAME_RUN = 6,     /* a{sv}; the shared page and the lifeline as file descriptors, if they can be passed, and if
                            * the surroundings had no lifeline */

  /* The worker's answer. */
  AFRPC_FRAME_FAILED = 7,  /* (sis): domain, code, message */
  AFRPC_FRAME_READY = 8,

  /* To the worker. */
  AFRPC_FRAME_CALL = 9,    /* the arguments */
  AFRPC_FRAME_CANCEL = 10,

  /* From the worker. */
  AFRPC_FRAME_RESULT = 11, /* the result */
  AFRPC_FRAME_ERROR = 12,  /* (sis): domain, code, message */
  AFRPC_FRAME_EVENT = 13,  /* the event */

  /* To a worker that is being prepared, which goes on being prepared; and its answers, in order. */
  AFRPC_FRAME_FORK = 14,    /* the new process' socket */
  AFRPC_FRAME_FORKED = 15,  /* (ub): its pid, whether it is the parent's child; its pidfd */
  AFRPC_FRAME_REFUSED = 16, /* (sis): why not */

  /* To a process that was forked, or has limits, first of all. */
  AFRPC_FRAME_SURROUNDINGS = 17, /* a{sv}; standard streams */

  /* To a worker over a command, one that may have to be told what is cancelled, or one that would live on if its parent
   * died: no calls follow, and it ends by itself once all are answered. Over a command the connection stays open: an
   * end of it without this is that of the program. */
  AFRPC_FRAME_CLOSE = 18,

  /* From a process that was forked otherwise, and has to reap its children itself. */
  AFRPC_FRAME_EXITED = 19, /* (uiib): pid, status, signal, core dumped */

  /* From a worker without a shared page, or of a timed call: the call is going to be run. */
  AFRPC_FRAME_STARTED = 20, /* x: when, in microseconds of CLOCK_MONOTONIC; or nothing */

  /* Over a command, from whoever watched the worker: how it ended. Nothing follows. */
  AFRPC_FRAME_GOODBYE = 21, /* AfrpcGoodbye, encoded */

  /* From the worker, of a call that wants it, before its outcome. */
  AFRPC_FRAME_PROGRESS = 22, /* how far it has come */

  /* From a worker whose log is wanted, also before it is ready; of the call that it is running, if it knows. */
  AFRPC_FRAME_LOG = 23, /* (uss): GLogLevelFlags, domain, message */

  /* To a worker that serves: it is going to be called by this number, the serial. */
  AFRPC_FRAME_FUNCTION = 24, /* s: name */

  /* From a worker that wants no new calls: it answers those that it gets until it is closed. */
  AFRPC_FRAME_RETIRE = 25,

  /* To a worker that has said that it sends by the ring, the last by the socket: what follows comes by the ring. */
  AFRPC_FRAME_RING = 26,

  /* 27 to 32 are for streams of values in both directions. */

  AFRPC_FRAME_LAST = AFRPC_FRAME_RING,
} AfrpcFrameKind;

typedef enum
{
  AFRPC_FRAME_FLAG_BIG_ENDIAN = 1 << 0, /* of the payload */
  AFRPC_FRAME_FLAG_SERIALISED = 1 << 1, /* the payload, an `ay`, is for the serialiser; ready: there is one */
  AFRPC_FRAME_FLAG_PROGRESS = 1 << 2,   /* of a call: its progress is wanted */
  AFRPC_FRAME_FLAG_LATEST = 1 << 3,     /* and only the latest, if the parent does not keep up */

  AFRPC_FRAME_FLAG_TIMED = 1 << 4,      /* of a call: a frame is to say that it starts */
  AFRPC_FRAME_FLAG_METADATA = 1 << 5,   /* of a call: the payload has its metadata too, see afrpc-metadata.h */
  AFRPC_FRAME_FLAG_NOT_STARTED = 1 << 6, /* of the error of a call: it was refused, and is as if never made */
  AFRPC_FRAME_FLAG_RING = 1 << 6,       /* ready: the last by the socket, and what follows comes by the ring */

  AFRPC_FRAME_FLAGS_KNOWN = AFRPC_FRAME_FLAG_BIG_ENDIAN | AFRPC_FRAME_FLAG_SERIALISED | AFRPC_FRAME_FLAG_PROGRESS |
                            AFRPC_FRAME_FLAG_LATEST | AFRPC_FRAME_FLAG_TIMED | AFRPC_FRAME_FLAG_METADATA |
                            AFRPC_FRAME_FLAG_NOT_STARTED,
} AfrpcFrameFlags;

#if G_BYTE_ORDER == G_LITTLE_ENDIAN
#define AFRPC_FRAME_FLAGS_NATIVE 0u
#else
#define AFRPC_FRAME_FLAGS_NATIVE AFRPC_FRAME_FLAG_BIG_ENDIAN
#endif

typedef struct
{
  guint8 kind;
  guint8 flags;
  guint16 n_fds;
  guint8 type_length;
  guint16 function;
  guint64 serial;
  guint64 size; /* of the payload, bytes */
} AfrpcFrameHeader;

/* Over a command, where a worker may die in the middle of a frame and something be written behind it: each
 * frame from the worker ends with a guard, which no part of a goodbye contains or begins with. So whatever
 * a goodbye made whole is told from a frame. */
#define AFRPC_FRAME_GUARD_SIZE 8u /* bytes, each of them AFRPC_FRAME_GUARD_BYTE */
#define AFRPC_FRAME_GUARD_BYTE 0xa5

/* Serial of a goodbye is a random number that the greeting told, so that no data can look like one. */
#define AFRPC_FRAME_GOODBYE_SIZE (AFRPC_FRAME_HEADER_SIZE + 8) /* the whole frame; it has no guard */

/* How a worker ended. */
typedef struct
{
  int status;    /* exit status, or -1 if a signal ended it */
  int signum;    /* the signal, or 0 */
  gboolean core; /* it was dumped */
} AfrpcGoodbye;

/* A serial: which place of the parent's table of calls (the slot), and the how manieth call it is. */
#define AFRPC_SERIAL_SLOT_BITS 24
#define AFRPC_SERIAL_SLOTS_MAX (1u << AFRPC_SERIAL_SLOT_BITS)

static inline guint32
afrpc_serial_slot (guint64 serial)
{
  return serial & (AFRPC_SERIAL_SLOTS_MAX - 1);
}

static inline gsize
afrpc_frame_pad (gsize size)
{
  return (size + 7) & ~(gsize) 7;
}

void     afrpc_frame_encode (const AfrpcFrameHeader  *header,
                             guint8                  *bytes);
void     afrpc_frame_read   (AfrpcFrameHeader        *header,
                             const guint8            *bytes);
gboolean afrpc_frame_decode (AfrpcFrameHeader        *header,
                             const guint8            *bytes,
                             guint64                  size_max,
                             GError                 **error);
void     afrpc_goodbye_encode (const AfrpcGoodbye    *goodbye,
                               guint64                serial,
                               guint8                *bytes);
gboolean afrpc_goodbye_decode (AfrpcGoodbye          *goodbye,
                               guint64                serial,
                               const guint8          *bytes);
gboolean afrpc_goodbye_is_begun (guint64              serial,
                                 const guint8        *bytes,
                                 gsize                size);

G_END_DECLS
