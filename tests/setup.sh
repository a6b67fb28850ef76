# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Makes a machine ready for afrpc. Sourced by tests/run and examples/run, from the top of the
# source tree and with "set -euo pipefail".

afrpc_packages=(
  gcc libc6-dev meson ninja-build pkg-config
  libglib2.0-dev libjson-glib-dev libnats-dev nats-server
  libgirepository1.0-dev gobject-introspection valac gi-docgen
  gettext python3 python3-dev python3-docutils python3-gi python-gi-dev python3-joblib python3-numpy mypy gjs
  perl libperl-dev libanyevent-perl libcoro-perl libev-perl
)
afrpc_options=()

# afrpc_install PACKAGE...: installs the Debian packages that are missing, if any is.
afrpc_install ()
{
  local have log package
  local -a apt missing=()

  command -v dpkg-query >/dev/null || return 0 # not Debian: then meson says what is missing
  have=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null || true)
  for package in "$@"; do
    case $'\n'$have$'\n' in
      *$'\n'ii\ "$package"$'\n'*) ;;
      *) missing+=("$package") ;;
    esac
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends -o Dpkg::Options::=--force-confold)
  [ "$(id -u)" -eq 0 ] || apt=(sudo -n "${apt[@]}")
  log=$(mktemp)
  echo "afrpc: installing ${missing[*]}"
  if ! "${apt[@]}" install "${missing[@]}" </dev/null >"$log" 2>&1 \
    && ! { "${apt[@]}" update && "${apt[@]}" install "${missing[@]}"; } </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    echo "afrpc: cannot install; as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    return 1
  fi
  rm -f "$log"
  afrpc_installed=1
}

# afrpc_build FOLDER MESON-OPTION...: configures when that is needed, and compiles. Quiet but for warnings
# unless it fails.
afrpc_build ()
{
  local folder=$1 log=$1.log status=0
  local -a setup=(meson setup "$@")

  if [ -n "${afrpc_installed:-}" ] || [ "$(cat "$folder/afrpc-options" 2>/dev/null)" != "$*" ]; then
    [ ! -f "$folder/build.ninja" ] || setup+=(--reconfigure)
  elif [ -f "$folder/build.ninja" ]; then
    setup=()
  fi
  if [ ${#setup[@]} -gt 0 ]; then
    echo "afrpc: configuring and compiling in $folder"
    "${setup[@]}" </dev/null >"$log" 2>&1 && echo "$*" >"$folder/afrpc-options" || status=$?
  fi
  if [ "$status" -eq 0 ]; then
    ninja -C "$folder" </dev/null >"$log" 2>&1 || status=$?
  fi
  if [ "$status" -eq 0 ]; then
    grep -i ' warning: ' "$log" >&2 || true
  else
    tail -n 40 "$log" >&2
  fi
  rm -f "$log"
  return "$status"
}

# afrpc_setup PACKAGE...: everything that is needed to use the build in _build, and the PACKAGEs.
# Takes options for Meson from afrpc_options.
afrpc_setup ()
{
  # Another python3 that comes first in PATH would not find Debian's modules.
  export PATH=/usr/bin:$PATH
  afrpc_install "${afrpc_packages[@]}" "$@" || return
  afrpc_build _build "${afrpc_options[@]}"
}
