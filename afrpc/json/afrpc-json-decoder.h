/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The decoder from inside. From text to the bytes of a GVariant, in one walk over the text after it was found to be
 * JSON, by a machine with a stack of its own: it can stop after each token, and in the middle of a string.
 *
 * json-glib's parser (1.6.6) is not used: it takes 25 times the size of the text in memory, and 200 times where values
 * are short, recurses without a limit, has hash tables that a peer can make slow, and reads far more than JSON, some of
 * it as something else. */
#pragma once

#include "afrpc/afrpc-error.h"
#include "afrpc-json-names.h"
#include "afrpc-json-private.h"
#include "afrpc-json-scan.h"
#include "afrpc-json-string.h"
#include "afrpc-json.h"
#include "wire/afrpc-value-writer.h"

G_BEGIN_DECLS

/* Where "data" comes before "type" it is passed over first. So much text, and this many times the whole besides:
 * without a limit, documents that do so at each level would take longer by their depth. */
#define AFRPC_JSON_SKIP_MIN (1u << 20) /* bytes */
#define AFRPC_JSON_SKIP_TIMES_MAX 16u

/* Those of a GVariant, and the object around it. */
#define AFRPC_JSON_FRAMES_MAX (AFRPC_JSON_DEPTH_MAX + 2)

/* What is to be done next. */
typedef enum
{
  AFRPC_JSON_SCAN,     /* look whether it is JSON at all */
  AFRPC_JSON_VALUE,    /* read a value */
  AFRPC_JSON_FIRST,    /* go on behind an opening bracket */
  AFRPC_JSON_NEXT,     /* go on behind a value */
  AFRPC_JSON_NAME,     /* read the name of a member */
  AFRPC_JSON_COLON,
  AFRPC_JSON_WRAPPING, /* read what is around a value in typed JSON */
  AFRPC_JSON_STRING,   /* go on with a string that is a value */
  AFRPC_JSON_KEY,      /* or the name of a member */
  AFRPC_JSON_SKIP,     /* go on passing over a value */
  AFRPC_JSON_NAMES,    /* look for names that occur twice */
  AFRPC_JSON_CLOSE,    /* write down where values end */
  AFRPC_JSON_END,      /* the value is whole */
  AFRPC_JSON_OVER,     /* its maker has been told */
} AfrpcJsonState;

typedef enum
{
  AFRPC_JSON_LIST,    /* [ of an array */
  AFRPC_JSON_OBJECT,  /* { of a dictionary */
  AFRPC_JSON_TUPLE,   /* [ of a tuple or an entry */
  AFRPC_JSON_JUST,    /* [ of a maybe */
  AFRPC_JSON_GUESSED, /* a `v` in plain JSON: nothing at all */
  AFRPC_JSON_WRAPPED, /* a `v` in typed JSON, or the whole of it: {"type":…,"data":…}, in either order */
} AfrpcJsonFrameKind;

/* What comes next in {"type":…,"data":…}. */
typedef enum
{
  AFRPC_JSON_WRAPPING_OPENING,
  AFRPC_JSON_WRAPPING_FIRST_NAME,
  AFRPC_JSON_WRAPPING_FIRST_COLON,
  AFRPC_JSON_WRAPPING_TYPE,
  AFRPC_JSON_WRAPPING_COMMA,
  AFRPC_JSON_WRAPPING_SECOND_NAME,
  AFRPC_JSON_WRAPPING_SECOND_COLON,
  AFRPC_JSON_WRAPPING_DATA,
  AFRPC_JSON_WRAPPING_GOING_BACK,
  AFRPC_JSON_WRAPPING_CLOSING,
} AfrpcJsonWrappingStage;

/* What the next value is in. */
typedef struct
{
  guint8 kind;             /* AfrpcJsonFrameKind */
  guint8 stage;            /* of WRAPPED: AfrpcJsonWrappingStage */
  gboolean is_data_first;  /* of WRAPPED */
  guint type;              /* the number of its type; of GUESSED and WRAPPED: of what is in it */
  guint depth;             /* of the value that it is */
  guint member;            /* of TUPLE: the number of the type of the next */
  guint end;               /* and where the last ends */
  gsize index;             /* of the element or member that is being read */
  const char *name;        /* of OBJECT: (nullable): of that member, as it is written */
  const char *data;        /* of WRAPPED, with its data first: where that is */
  const char *closing;     /* and its bracket */
  AfrpcValueContainer container;
  AfrpcValueContainer entry; /* of OBJECT */
} AfrpcJsonFrame;

struct _AfrpcJsonDecoder
{
  AfrpcJsonFlags flags;
  const char *text;
  gsize size;
  char expected[AFRPC_LAYOUT_TYPE_MAX + 1]; /* of plain JSON */

  AfrpcJsonState state;
  const char *at;
  const char *end;
  guint type;               /* of the value that is next */
  guint depth;
  guint guesses;            /* the number of the first of the types that plain JSON is taken for */
  guint skip_depth;
  gboolean skips_string;
  gsize skip_left;          /* bytes */
  AfrpcJsonString string;
  AfrpcJsonNames names;
  AfrpcValueWriter writer;

  guint n_frames;
  /* The two do not live at the same time. */
  union
  {
    AfrpcJsonScan scan;
    AfrpcJsonFrame frames[AFRPC_JSON_FRAMES_MAX];
  };
};

void     afrpc_json_decoder_init       (AfrpcJsonDecoder     *self,
                                        const char           *text,
                                        gsize                 length,
                                        const GVariantType   *expected);
void     afrpc_json_decoder_clear      (AfrpcJsonDecoder     *self);

/* Sets an error at the place of what is in the first @n_frames frames. Returns FALSE. */
gboolean afrpc_json_decoder_refuse     (AfrpcJsonDecoder     *self,
                                        guint                 n_frames,
                                        AfrpcError            code,
                                        const char           *message,
                                        GError              **error);

gboolean afrpc_json_decoder_refuse_length (AfrpcJsonDecoder  *self,
                                           guint              n_frames,
                                           guint              tuple,
                                           GError           **error);
gboolean afrpc_json_decoder_refuse_depth  (AfrpcJsonDecoder  *self,
                                           GError           **error);
gboolean afrpc_json_decoder_refuse_memory (AfrpcJsonDecoder  *self,
                                           GError           **error);
GString *afrpc_json_decoder_get_pointer   (AfrpcJsonDecoder  *self,
                                           guint              n_frames);

void     afrpc_json_decoder_push_frame    (AfrpcJsonDecoder   *self,
                                           AfrpcJsonFrameKind  kind);

/* A value is next, and its first token at hand. */
gboolean afrpc_json_decoder_begin_value   (AfrpcJsonDecoder  *self,
                                           GError           **error);

/* A value has been read. */
void     afrpc_json_decoder_end_value  (AfrpcJsonDecoder     *self);

/* afrpc-json-container.c */
gboolean afrpc_json_container_go_on         (AfrpcJsonDecoder  *self,
                                             GError           **error);
gboolean afrpc_json_container_begin_name    (AfrpcJsonDecoder  *self);
gboolean afrpc_json_container_begin_member  (AfrpcJsonDecoder  *self,
                                             GError           **error);
gboolean afrpc_json_container_look_at_names (AfrpcJsonDecoder  *self,
                                             gssize            *budget,
                                             GError           **error);
void     afrpc_json_container_go_on_closing (AfrpcJsonDecoder  *self,
                                             gsize              n);

/* afrpc-json-guess.c */
void     afrpc_json_guess_init         (AfrpcJsonDecoder     *self);
gboolean afrpc_json_guess_begin        (AfrpcJsonDecoder     *self,
                                        GError              **error);

/* afrpc-json-wrapping.c */
void     afrpc_json_wrapping_begin     (AfrpcJsonDecoder     *self);
gboolean afrpc_json_wrapping_step      (AfrpcJsonDecoder     *self,
                                        GError              **error);
gboolean afrpc_json_wrapping_skip      (AfrpcJsonDecoder     *self,
                                        const char           *limit,
                                        GError              **error);
void     afrpc_json_wrapping_write_type (AfrpcJsonDecoder    *self,
                                         guint                type);

static inline const AfrpcLayout *
afrpc_json_decoder_get_layout (const AfrpcJsonDecoder *self,
                               guint                   type)
{
  return afrpc_value_writer_get_layout (&self->writer, type);
}

static inline AfrpcJsonFrame *
afrpc_json_decoder_get_frame (AfrpcJsonDecoder *self)
{
  return &self->frames[self->n_frames - 1];
}

static inline gboolean
afrpc_json_decoder_accept (AfrpcJsonDecoder *self,
                           char              c)
{
  if (self->at == self->end || *self->at != c)
    return FALSE;

  self->at++;
  return TRUE;
}

G_END_DECLS
