#!/bin/sh
# Make .venv from the locked requirements. Does nothing when it is up to date.
# Needs Python 3.11 or later with its standard library; neither pip nor venv.
set -eu
cd "$(dirname "$0")/.."

for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
    # A name on the PATH may be a shim without an interpreter behind it, so it is asked. One that
    # lives in an environment, such as .venv itself, names the interpreter it was made from.
    python=$("$candidate" -c \
        'import sys; sys.version_info >= (3, 11) and print(sys._base_executable)' 2>/dev/null) \
        || continue
    [ -n "$python" ] && exec "$python" scripts/bootstrap.py "$@"
done

echo "bootstrap: no Python 3.11 or later was found; install python3, or name one with PYTHON=..." >&2
exit 1
