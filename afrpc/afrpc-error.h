/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-version.h"

G_BEGIN_DECLS

#define AFRPC_ERROR (afrpc_error_quark ())

/**
 * AfrpcError:
 * @AFRPC_ERROR_FAILED: something else
 * @AFRPC_ERROR_SPAWN: the worker process could not be started; the message has the reason of the
 *   operating system
 * @AFRPC_ERROR_NO_HOST: there is no host program for that language
 * @AFRPC_ERROR_NOT_A_HOST: the program that was started does not speak afrpc's protocol
 * @AFRPC_ERROR_VERSION: the host speaks another version of afrpc's protocol
 * @AFRPC_ERROR_MODULE: a module does not exist or cannot be loaded
 * @AFRPC_ERROR_FUNCTION: a function does not exist, or is not of the kind that was asked for
 * @AFRPC_ERROR_INIT: the `init` function failed
 * @AFRPC_ERROR_INVALID_ARGUMENTS: the arguments are not of the type that the function takes
 * @AFRPC_ERROR_NO_RESULT: the function gave neither a result nor an error
 * @AFRPC_ERROR_REMOTE: the function failed with an error of a domain that is not registered here; see
 *   [func@Afrpc.Error.register_domain]
 * @AFRPC_ERROR_TOO_LARGE: a message, a type string or a number of file descriptors is over a limit
 * @AFRPC_ERROR_INVALID_DATA: a value from the other side is malformed, or one of the program's own cannot be sent
 * @AFRPC_ERROR_BUSY: a queue is full, or more has arrived while the thread was blocked than is kept
 * @AFRPC_ERROR_CLOSED: the proxy was closed, or its process has ended, before the call was made
 * @AFRPC_ERROR_NOT_STARTED: the worker ended before it started this call: it is safe to make it again
 * @AFRPC_ERROR_DIED: the worker ended while it ran this call
 * @AFRPC_ERROR_PROTOCOL: the worker broke the protocol and was ended
 * @AFRPC_ERROR_UNHANDLED_EVENT: an event arrived, and nobody listens to events
 * @AFRPC_ERROR_NOT_SUPPORTED: this host or this transport cannot do that
 * @AFRPC_ERROR_IN_USE: the process runs another function already
 * @AFRPC_ERROR_SERIALISER: the worker has no serialiser of that name, or a serialiser cannot take such a value, or
 *   did not say why it failed
 * @AFRPC_ERROR_UNREACHABLE: the machine that the worker was to run on cannot be reached, or lets nobody in
 *
 * What can go wrong in afrpc.
 *
 * A call that is cancelled fails with %G_IO_ERROR_CANCELLED, one whose time limit passes with
 * %G_IO_ERROR_TIMED_OUT. Errors that a worker's function returns keep their domain and code where the
 * domain is known to the calling program.
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_ERROR_FAILED,
  AFRPC_ERROR_SPAWN,
  AFRPC_ERROR_NO_HOST,
  AFRPC_ERROR_NOT_A_HOST,
  AFRPC_ERROR_VERSION,
  AFRPC_ERROR_MODULE,
  AFRPC_ERROR_FUNCTION,
  AFRPC_ERROR_INIT,
  AFRPC_ERROR_INVALID_ARGUMENTS,
  AFRPC_ERROR_NO_RESULT,
  AFRPC_ERROR_REMOTE,
  AFRPC_ERROR_TOO_LARGE,
  AFRPC_ERROR_INVALID_DATA,
  AFRPC_ERROR_BUSY,
  AFRPC_ERROR_CLOSED,
  AFRPC_ERROR_NOT_STARTED,
  AFRPC_ERROR_DIED,
  AFRPC_ERROR_PROTOCOL,
  AFRPC_ERROR_UNHANDLED_EVENT,
  AFRPC_ERROR_NOT_SUPPORTED,
  AFRPC_ERROR_IN_USE,
  AFRPC_ERROR_SERIALISER,
  AFRPC_ERROR_UNREACHABLE,
} AfrpcError;

AFRPC_AVAILABLE_IN_1_0
GQuark   afrpc_error_quark           (void);

AFRPC_AVAILABLE_IN_1_0
void     afrpc_error_register_domain (GQuark domain);
AFRPC_AVAILABLE_IN_1_0
char    *afrpc_error_dup_message     (const GError *error) G_GNUC_WARN_UNUSED_RESULT;
/* For implementers of callers. */
AFRPC_AVAILABLE_IN_1_0
GError  *afrpc_error_new_remote      (const char *domain,
                                      int         code,
                                      const char *message) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
