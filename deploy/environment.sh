#!/bin/sh
# The virtual environment: the locked dependencies and this folder's code, with the interpreter named in PYTHON.
# It takes minutes, so it says so first; and two that ask at once take turns, since each begins by emptying the folder.
set -eu
venv=$1
if ! "${PYTHON:-false}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "Python 3.11 or later is needed${PYTHON:+, and $PYTHON is not one}: install it (Debian 12 or later: sudo apt-get install python3 python3-venv)" >&2
  echo "or say where it is: make PYTHON=/path/to/python3 ..." >&2
  exit 1
fi
sh deploy/system-packages.sh setup
exec 9<requirements.lock
if command -v flock >/dev/null && ! flock -n 9; then
  echo "another make is setting up $venv: waiting for it"
  flock 9
  [ "$venv/.ready" -nt requirements.lock ] && [ "$venv/.ready" -nt pyproject.toml ] && exit 0
fi
echo "setting up $venv, once: the locked dependencies are downloaded and installed, which may take minutes"
"$PYTHON" -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
touch "$venv/.ready"
