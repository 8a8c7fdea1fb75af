#!/bin/sh
# Prints code_parts[], C's table of digests that experiments/run/code.h declares. A comment or the layout of a line
# changes none of them. $1: what defines names on the compiler's command line. Run from the repository's root.
set -e
LC_ALL=C; export LC_ALL
digest() { # NAME FILE...
    name=$1; shift
    printf '    {"%s", "%.16s"},\n' "$name" "$({ echo "$defines"; awk -f experiments/run/code.awk "$@" </dev/null; } | sha256sum)"
}
defines=$1
own= shared=
for f in $(ls methods/*.c methods/*.h | grep -v /registry.c); do # a method more is no other method
    if grep -q '^const method method_' "$f"; then own="$own $f"; else shared="$shared $f"; fi
done
echo '/* Made by experiments/run/code.sh. */'
echo '#include "experiments/run/code.h"'
echo 'const code_part code_parts[] = {'
digest engine engine/*.c engine/*.h engine/*/*.c engine/*/*.h engine/*/*/*.c engine/*/*/*.h
digest loop experiments/run/train.[ch] experiments/run/model.[ch] experiments/run/onset.[ch] experiments/run/look.[ch] experiments/run/judgement.[ch] experiments/run/evaluate.[ch]
for f in $own; do digest "$(basename "$f" .c)" "$f" $shared; done
echo '    {0},'
echo '};'
