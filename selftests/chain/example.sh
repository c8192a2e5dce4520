#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# example.sh BUILD PAGE: the example of docs/chain.md as it is written there, with
# nothing of ringraid but the installed library. A block of code that follows a
# heading "### NAME" is that file; the block under "### Build and run" is run.
set -eu
build=$1 page=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --component chain --prefix "$work/usr" >"$work/log" ||
	{ cat "$work/log"; exit 1; }
PKG_CONFIG_PATH=$(dirname "$(find "$work/usr" -name rr_chain.pc)")
export PKG_CONFIG_PATH
mkdir "$work/empty"
cd "$work/empty"
awk '
	/^### / { name = substr($0, 5); next }
	/^```/ { inside = !inside; if (!inside) name = ""; next }
	inside && name == "Build and run" { print > "run.sh" }
	inside && (name == "get.c" || name == "app.c") { print > name }
' "$page"
lines=$(cat get.c app.c run.sh | wc -l)
[ "$lines" -le 60 ] || { echo "the example has $lines lines"; exit 1; }
said=$(sh -eu run.sh)
echo "$said"
case $said in
"42 is the answer"*) ;;
*) echo "it should have found the answer"; exit 1 ;;
esac
