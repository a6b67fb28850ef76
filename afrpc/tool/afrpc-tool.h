/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the subcommands of the afrpc command share: exit statuses, options that describe a worker,
 * messages on standard error, how a result is written. */
#pragma once

#include <afrpc/afrpc.h>

#include "afrpc-tool-machines.h"
#include "afrpc-tool-options.h"

G_BEGIN_DECLS

/* Documented in --help and in afrpc(1). A command that a signal ended exits with 128 + signal. */
#define AFRPC_TOOL_EXIT_OK 0
#define AFRPC_TOOL_EXIT_FAILED 1
#define AFRPC_TOOL_EXIT_USAGE 2
#define AFRPC_TOOL_EXIT_PREPARE 3
#define AFRPC_TOOL_EXIT_DIED 4
#define AFRPC_TOOL_EXIT_TIMED_OUT 5
#define AFRPC_TOOL_EXIT_SIGNAL(signum) (128 + (signum))

typedef struct
{
  char *host;     /* (nullable) */
  char **require; /* (nullable) loaded before module */
  char *module;
  char *function;
  char *init;        /* (nullable) */
  char **init_words; /* (nullable) */
  gboolean async;
  double seconds;
  gint64 limits[AFRPC_LIMIT_FILE_SIZE + 1]; /* by AfrpcLimit; 0: none */
  int nice;

  /* What has been made of these. */
  AfrpcBackend backend;
  guint timeout_ms;     /* of one call; 0: none */
  GPtrArray *init_args; /* (element-type GVariant) */

  guint n_retries; /* of a call that has failed */

  /* Where workers run. */
  GPtrArray *machines; /* (nullable) (element-type AfrpcToolMachine): NULL: here */
  char **ssh_options;  /* (nullable) */
  gboolean send;       /* the modules, to other machines */
} AfrpcToolWorkerOptions;

/* What a word is. */
typedef enum
{
  AFRPC_TOOL_WORDS_VALUES, /* GVariant text, or else a string */
  AFRPC_TOOL_WORDS_STRINGS,
  AFRPC_TOOL_WORDS_JSON,
} AfrpcToolWords;

typedef enum
{
  AFRPC_TOOL_FORMAT_VARIANT, /* GVariant text */
  AFRPC_TOOL_FORMAT_JSON,
  AFRPC_TOOL_FORMAT_TEXT,  /* a single string is written bare, anything else as GVariant text */
  AFRPC_TOOL_FORMAT_BYTES, /* the same, and a byte string is written bare as well */
} AfrpcToolFormat;

typedef void (*AfrpcToolSignalFunc) (int      signum,
                                     gpointer data);

int             afrpc_tool_call                 (int                            argc,
                                                 char                         **argv);
int             afrpc_tool_map                  (int                            argc,
                                                 char                         **argv);

int             afrpc_tool_host                 (int                            argc,
                                                 char                         **argv);
int             afrpc_tool_become_nats          (const char                    *name,
                                                 int                            argc,
                                                 char                         **argv);
gboolean        afrpc_tool_is_for_nats          (int                            argc,
                                                 char                         **argv);
const char     *afrpc_tool_find_host            (const AfrpcToolWorkerOptions  *options);
void            afrpc_tool_report               (const AfrpcToolWorkerOptions  *options,
                                                 const GError                  *error);

GOptionContext *afrpc_tool_option_context_new   (const char                    *parameters,
                                                 const char                    *summary);
int             afrpc_tool_usage_error          (const char                    *command,
                                                 const char                    *message);
GVariant       *afrpc_tool_parse_word           (const char                    *word,
                                                 AfrpcToolWords                 words,
                                                 GError                       **error);
GPtrArray      *afrpc_tool_parse_words          (char                         **words,
                                                 AfrpcToolWords                 kind,
                                                 GError                       **error);
GVariant       *afrpc_tool_new_exact            (void);
GVariantType   *afrpc_tool_find_declared_type   (const GError                  *error);
GVariant       *afrpc_tool_make_declared        (char                         **words,
                                                 GPtrArray                     *values,
                                                 AfrpcToolWords                 kind,
                                                 const GVariantType            *type);
GVariant       *afrpc_tool_parse_declared_line  (const char                    *line,
                                                 const GVariantType            *type);
GVariant       *afrpc_tool_parse_json_line      (const char                    *line,
                                                 GError                       **error);
gboolean        afrpc_tool_parse_seconds        (double                         seconds,
                                                 guint                         *milliseconds,
                                                 GError                       **error);
void            afrpc_tool_worker_options_add   (AfrpcToolWorkerOptions        *options,
                                                 AfrpcToolOptions              *parser);
gboolean        afrpc_tool_worker_options_check (AfrpcToolWorkerOptions        *options,
                                                 GError                       **error);
gboolean        afrpc_tool_worker_options_take_module (AfrpcToolWorkerOptions *options,
                                                 const char                    *module,
                                                 GError                       **error);
void            afrpc_tool_worker_options_clear (AfrpcToolWorkerOptions        *options);
int             afrpc_tool_steal_stdout         (void);
AfrpcProcess   *afrpc_tool_process_new          (const AfrpcToolWorkerOptions  *options,
                                                 const AfrpcToolMachine        *machine,
                                                 gboolean                       stdout_is_stolen);

void            afrpc_tool_init_printing        (void);
int             afrpc_tool_exit_status          (const GError                  *error);
void            afrpc_tool_message              (const char                    *format,
                                                 ...) G_GNUC_PRINTF (1, 2);
void            afrpc_tool_show_event           (GVariant                      *event);
char           *afrpc_tool_printable            (const char                    *text,
                                                 gsize                          size,
                                                 const char                    *keep);
void            afrpc_tool_format_result        (GByteArray                    *text,
                                                 GVariant                      *result,
                                                 AfrpcToolFormat                format);
GVariant       *afrpc_tool_dup_shown            (GVariant                      *value,
                                                 gboolean                       bytes_as_text);
gboolean        afrpc_tool_write                (int                            fd,
                                                 const void                    *data,
                                                 gsize                          size);
void            afrpc_tool_block_signals        (void);
void            afrpc_tool_watch_signals        (AfrpcToolSignalFunc            func,
                                                 gpointer                       data);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcToolWorkerOptions, afrpc_tool_worker_options_clear)

G_END_DECLS
