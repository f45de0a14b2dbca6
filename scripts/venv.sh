#!/bin/sh
# Creates the virtual environment $VENV from the first Python that is new enough ($PYTHON, if set, is the only candidate).
set -eu

[ ! -x "$BIN/pip" ] || exit 0
for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    # Debian keeps the part that puts pip into a new environment in a package of its own.
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        package=$("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')
        "$(dirname "$0")/need.sh" "no-ensurepip=$package"
    fi
    "$python" -m venv "$VENV" && exit 0
    rm -rf "$VENV"
    exit 1
done
echo "Regulars needs Python 3.11 or newer; set PYTHON=/path/to/python if it has an unusual name." >&2
exit 1
