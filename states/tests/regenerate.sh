#!/usr/bin/env bash
# Asks the real Salt what it compiles from every tree below trees/, and for the grains of every distribution below
# os-release/, and stores its answers.
#   tests/regenerate.sh [VENV]     (VENV: a virtual environment with Salt; one is made when it is not there)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:-${TMPDIR:-/tmp}/salt-venv}
[ -x "$venv/bin/salt-call" ] || { python3 -m venv "$venv"; "$venv/bin/pip" install -q 'salt==3008.3'; }
python3 "$here/regenerate.py" "$venv/bin/salt-call" "$here"/trees/*/
"$venv/bin/python" "$here/regenerate_grains.py"
