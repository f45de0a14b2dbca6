#!/bin/sh
# Makes sure that system commands are there: scripts/need.sh COMMAND=DEBIAN_PACKAGE …
# Missing ones are installed with apt-get, as root or through sudo; where that is impossible one line says what to install.
set -eu

missing=
for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null 2>&1 || missing="$missing ${pair#*=}"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
    # Without a terminal nobody can type a password.
    [ -t 0 ] || as_root='sudo -n'
fi
refuse() {
    echo "Please install:$missing (on Debian as root: apt-get install$missing), then run make again." >&2
    exit 1
}
command -v apt-get >/dev/null 2>&1 || refuse
[ -z "$as_root" ] || $as_root true 2>/dev/null || refuse

echo "Installing$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    # shellcheck disable=SC2086  # both are lists of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >"$log" 2>&1
}
# The package lists may be old or absent: refresh them only when the first try fails.
install || { $as_root apt-get update >"$log" 2>&1 && install; } || { tail -n 5 "$log" >&2; refuse; }
