/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc/hosts/afrpc-symbols.h"

#include <dlfcn.h>
#include <string.h>

#define BLOOM_BITS (8 * sizeof (ElfW(Addr)))
#if __ELF_NATIVE_CLASS == 64
#define RELOCATION_SYMBOL(info) ELF64_R_SYM (info)
#else
#define RELOCATION_SYMBOL(info) ELF32_R_SYM (info)
#endif
#define VERSION_HIDDEN 0x8000 /* an old version of the symbol, which a search without version passes over */

/* Some systems leave addresses in the dynamic section as they are in the file. */
static gconstpointer
get_table (const struct link_map *map,
           const ElfW(Dyn)       *entry)
{
  const ElfW(Addr) address = entry->d_un.d_ptr;

  return (gconstpointer) (address < map->l_addr ? map->l_addr + address : address);
}

/* @handle: of an object that stays loaded */
gboolean
afrpc_symbols_init (AfrpcSymbols *self,
                    void         *handle)
{
  struct link_map *map;

  memset (self, 0, sizeof *self);
  if (dlinfo (handle, RTLD_DI_LINKMAP, &map) != 0)
    return FALSE;

  self->handle = handle;
  self->map = map;
  for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++)
    if (entry->d_tag == DT_SYMTAB)
      self->symbols = get_table (map, entry);
    else if (entry->d_tag == DT_STRTAB)
      self->strings = get_table (map, entry);
    else if (entry->d_tag == DT_VERSYM)
      self->versions = get_table (map, entry);
    else if (entry->d_tag == DT_GNU_HASH)
      self->hash = get_table (map, entry);
    else if (entry->d_tag == DT_JMPREL)
      self->calls = get_table (map, entry);
    else if (entry->d_tag == DT_PLTRELSZ)
      self->calls_size = entry->d_un.d_val;
    else if (entry->d_tag == DT_PLTREL)
      self->calls_have_addends = entry->d_un.d_val == DT_RELA;

  return TRUE;
}

/* For objects without the table. */
static gpointer
search (const AfrpcSymbols *self,
        const char         *name,
        int                *type)
{
  struct link_map *map = NULL;
  const ElfW(Sym) *entry = NULL;
  Dl_info info;
  gpointer symbol = dlsym (self->handle, name);

  if (symbol == NULL || dladdr1 (symbol, &info, (void **) &map, RTLD_DL_LINKMAP) == 0 || map != self->map)
    return NULL;
  /* What is chosen when it is loaded has the address of something else. */
  if (dladdr1 (symbol, &info, (void **) &entry, RTLD_DL_SYMENT) != 0 && entry != NULL)
    *type = ELF64_ST_TYPE (entry->st_info);

  return symbol;
}

static gboolean
is_meant (const AfrpcSymbols *self,
          guint32             i,
          const char         *name)
{
  return strcmp (self->strings + self->symbols[i].st_name, name) == 0 &&
         (self->versions == NULL || (self->versions[i] & VERSION_HIDDEN) == 0);
}

/* Returns: (nullable): the address of what the object calls @name and defines itself; @type (inout): what that is, an STT_
 * of <elf.h>, if the object says so. */
static gpointer
find (const AfrpcSymbols *self,
      const char         *name,
      int                *type)
{
  const guint32 *table = self->hash, *buckets, *chain;
  const ElfW(Addr) *bloom;
  ElfW(Addr) word;
  guint32 hash = 5381, n_buckets, first, i;

  if (table == NULL)
    return search (self, name, type);

  for (const char *c = name; *c != '\0'; c++)
    hash = 33 * hash + (guint8) *c;

  /* What is only used is not in the table. Its header: how many buckets, the first symbol in them, the size
   * of the filter, the shift of the filter's second hash. */
  n_buckets = table[0];
  first = table[1];
  bloom = (const ElfW(Addr) *) (table + 4);
  buckets = (const guint32 *) (bloom + table[2]);
  chain = buckets + n_buckets;

  word = bloom[hash / BLOOM_BITS % table[2]];
  if ((word >> hash % BLOOM_BITS & word >> (hash >> table[3]) % BLOOM_BITS & 1) == 0)
    return NULL;

  i = buckets[hash % n_buckets];
  if (i < first)
    return NULL;
  /* The last of a chain has its lowest bit set. */
  do
    if ((chain[i - first] | 1) == (hash | 1) && is_meant (self, i, name))
      {
        *type = ELF64_ST_TYPE (self->symbols[i].st_info);
        /* Others have an address that is not simply where they lie. */
        if (*type == STT_FUNC || *type == STT_OBJECT || *type == STT_NOTYPE)
          return (gpointer) (self->map->l_addr + self->symbols[i].st_value);
        return search (self, name, type);
      }
  while ((chain[i++ - first] & 1) == 0);

  return NULL;
}

/* Returns: (nullable): the address of what the object calls @name and defines itself. */
gpointer
afrpc_symbols_find (const AfrpcSymbols *self,
                    const char         *name)
{
  int type;

  return find (self, name, &type);
}

/* The same of what is to be called. @is_data (out): the object says that it is none: a variable, which to call would end
 * the process. */
gpointer
afrpc_symbols_find_function (const AfrpcSymbols *self,
                             const char         *name,
                             gboolean           *is_data)
{
  int type = STT_NOTYPE;
  gpointer symbol = find (self, name, &type);

  *is_data = symbol != NULL && (type == STT_OBJECT || type == STT_TLS || type == STT_COMMON);

  return symbol;
}

/* Of what the object calls and was not resolved when it was loaded: returns (nullable) the name of one that nothing
 * loaded so far has. To call it would end the process. */
const char *
afrpc_symbols_find_missing (const AfrpcSymbols *self)
{
  const gsize size = self->calls_have_addends ? sizeof (ElfW(Rela)) : sizeof (ElfW(Rel));

  for (gsize i = 0; self->calls != NULL && i < self->calls_size / size; i++)
    {
      /* Both begin alike. */
      const ElfW(Rel) *call = (const ElfW(Rel) *) ((const char *) self->calls + i * size);
      const ElfW(Sym) *symbol = &self->symbols[RELOCATION_SYMBOL (call->r_info)];
      const char *name = self->strings + symbol->st_name;

      if (symbol->st_name != 0 && symbol->st_shndx == SHN_UNDEF && ELF64_ST_BIND (symbol->st_info) != STB_WEAK &&
          dlsym (RTLD_DEFAULT, name) == NULL)
        return name;
    }

  return NULL;
}
