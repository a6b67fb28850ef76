/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a peer comes to be: it is told what it is prepared with, executed, or forked from another. */
#pragma once

#include "peer/afrpc-peer-parts.h"

G_BEGIN_DECLS

void     afrpc_birth_begin            (AfrpcPeer       *peer);
void     afrpc_birth_run              (AfrpcPeer       *peer,
                                       GVariant        *options);
void     afrpc_birth_start            (AfrpcPeer       *peer);
void     afrpc_birth_forget_steps     (AfrpcPeer       *peer);
void     afrpc_birth_close_stdio      (AfrpcPeer       *peer);
void     afrpc_birth_fail             (AfrpcPeer       *peer,
                                       GError          *error);

/* Forking */
void     afrpc_birth_ask_template     (AfrpcPeer       *peer,
                                       AfrpcPeer       *template);
void     afrpc_birth_forked           (AfrpcPeer       *template,
                                       AfrpcLinkItem   *item);
void     afrpc_birth_child_exited     (AfrpcPeer       *template,
                                       AfrpcLinkItem   *item);
void     afrpc_birth_greeted          (AfrpcPeer       *peer);
void     afrpc_birth_unheard          (AfrpcPeer       *peer);
void     afrpc_birth_look_for_unheard (AfrpcPeer       *peer);
void     afrpc_birth_template_gone    (AfrpcPeer       *template);
void     afrpc_birth_context_gone     (AfrpcPeer       *peer);
void     afrpc_birth_replay_forks     (AfrpcPeer       *template,
                                       guint            n_steps);
void     afrpc_birth_leave_reaper     (AfrpcPeer       *peer);
AfrpcPeer *afrpc_birth_get_template   (AfrpcPeer       *peer);

/* Forks that nobody waits for */
void     afrpc_birth_leave_to_heir        (AfrpcPeer       *peer);
/* At the other end of ssh */
gboolean afrpc_birth_get_value        (AfrpcPeer       *peer,
                                       AfrpcBirthStep  *step,
                                       GVariant       **value,
                                       GError         **error);
gboolean afrpc_birth_make_overture    (AfrpcPeer       *peer,
                                       GError         **error);
void     afrpc_birth_play_overture    (AfrpcPeer       *peer);
void     afrpc_birth_copy_destination (AfrpcPeer       *peer,
                                       const AfrpcPeer *template);

/* Between the files of the birth. */
gboolean afrpc_birth_connect          (AfrpcPeer       *peer,
                                       int             *other,
                                       GError         **error);
gboolean afrpc_birth_open_stdio       (AfrpcPeer       *peer,
                                       guint8           shared,
                                       int             *stdio,
                                       GArray          *closing,
                                       GError         **error);
void     afrpc_birth_insert_surroundings (AfrpcPeer       *peer,
                                          AfrpcOptionsWriter *dict,
                                          int              fds[3],
                                          guint           *n_fds);
void     afrpc_birth_exec             (AfrpcPeer       *peer);
void     afrpc_birth_doubt            (AfrpcPeer       *peer);

G_END_DECLS
