/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the function takes: other calls fail before they reach it. */
[CCode (cname = "afrpc_info_hello")]
public const Afrpc.FunctionInfo INFO_HELLO = { Afrpc.FunctionKind.SYNC, "(s)" };

public Variant hello (Afrpc.Worker worker, Variant args) throws Error {
    string name;

    args.get ("(s)", out name);

    return new Variant.string ("Hello, %s!".printf (name));
}
