# solo-learn 1.0.2, the only release that PyPI has: it asks for torch 1.9.1, which there is for Python 3.6 to 3.9 alone, so that pip
# finds nothing to install beside a newer Python. One would expect the releases of its repository, or a range.
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "this needs Python 3.10 or later"; exit 1; }
packages=
. "$(dirname "$0")/environment.inc"
if "$there/env/bin/pip" install --disable-pip-version-check --dry-run solo-learn==1.0.2 >"$there/said" 2>&1; then
    echo "it can be installed now" && exit 1
fi
tail -1 "$there/said"
grep -q "No matching distribution found for torch==1.9.1" "$there/said"
