/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A host in Vala: its modules are words, its only function says them. */
class WordHost : Afrpc.Host {
  private string[] words = {};

  public WordHost () {
    Object (name: "word");
  }

  public override bool require (string module) throws Error {
    if (module == "")
      return false; /* without saying why */
    words += module;

    return true;
  }

  public override uint resolve (string function, Afrpc.FunctionKind kind) throws Error {
    if (function != "say")
      throw new Afrpc.Error.FUNCTION ("'%s' is not 'say'", function);

    return 1;
  }

  public override Variant? call (uint function, Afrpc.Worker worker, Variant args) throws Error {
    if (words.length == 0)
      return null; /* the same */
    worker.event (new Variant.string (name));

    return new Variant.string (string.joinv (" ", words));
  }

  public override void invoke (uint function, Afrpc.Invocation invocation) {
    invocation.return_value (new Variant.string (string.joinv ("-", words)));
  }
}

int main () {
  return new WordHost ().serve ();
}
