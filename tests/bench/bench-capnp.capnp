# SPDX-License-Identifier: LGPL-2.1-or-later
@0xb56a941dcf2f6a99;

interface Listener {
  event @0 (text :Text) -> stream;
}

interface Bench {
  echo @0 (text :Text) -> (text :Text);
  emit @1 (text :Text, listener :Listener) -> (text :Text);
}
