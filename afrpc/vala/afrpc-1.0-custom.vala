/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What introspection leaves out. */
namespace Afrpc {
	[CCode (cheader_filename = "afrpc/afrpc.h")]
	[Version (since = "1.0")]
	public static void register_function (string name, Afrpc.FunctionKind kind, GLib.Callback function, string? args_type = null);
	[CCode (cheader_filename = "afrpc/afrpc.h")]
	[Version (since = "1.0")]
	public static void init_early ([CCode (array_length_pos = 0.9)] ref unowned string[] args);
}
