/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* For programs that are linked statically: GIO lists file systems by libmount, of which Debian has no static
 * version. No test asks for that. */

void *mnt_free_iter (void);
void *mnt_free_table (void);
void *mnt_fs_get_fstype (void);
void *mnt_fs_get_options (void);
void *mnt_fs_get_root (void);
void *mnt_fs_get_source (void);
void *mnt_fs_get_target (void);
void *mnt_fs_strdup_options (void);
void *mnt_get_builtin_optmap (void);
void *mnt_get_fstab_path (void);
void *mnt_has_regular_mtab (void);
void *mnt_new_iter (void);
void *mnt_new_table (void);
void *mnt_optstr_get_flags (void);
void *mnt_table_next_fs (void);
void *mnt_table_parse_fstab (void);
void *mnt_table_parse_mtab (void);

void *mnt_free_iter (void) { return 0; }
void *mnt_free_table (void) { return 0; }
void *mnt_fs_get_fstype (void) { return 0; }
void *mnt_fs_get_options (void) { return 0; }
void *mnt_fs_get_root (void) { return 0; }
void *mnt_fs_get_source (void) { return 0; }
void *mnt_fs_get_target (void) { return 0; }
void *mnt_fs_strdup_options (void) { return 0; }
void *mnt_get_builtin_optmap (void) { return 0; }
void *mnt_get_fstab_path (void) { return 0; }
void *mnt_has_regular_mtab (void) { return 0; }
void *mnt_new_iter (void) { return 0; }
void *mnt_new_table (void) { return 0; }
void *mnt_optstr_get_flags (void) { return 0; }
void *mnt_table_next_fs (void) { return 0; }
void *mnt_table_parse_fstab (void) { return 0; }
void *mnt_table_parse_mtab (void) { return 0; }
