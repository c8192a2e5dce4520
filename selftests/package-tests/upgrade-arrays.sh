#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What the postinst does with arrays that run, where ringraid and systemctl only note down
# what they are asked: one that is healthy gets the new daemon, others keep theirs; only one
# of a version that cannot hand over is killed.
set -Eeuo pipefail
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND"' ERR
dir=$(mktemp -d)
old=''
trap '[ -z "$old" ] || kill "$old"; rm -rf -- "$dir"' EXIT
uuid=b3860293:17e8fcee:fb131911:71948911
unit=ringraid@b3860293-17e8-fcee-fb13-191171948911.service
mkdir -p "$dir"/{bin,run/ringraid/x,run/systemd/system}
sed "s,/run/,$dir/run/,g; s,/etc/default,$dir,g" "${RINGRAID_TOP:?}/loader/packaging/lib/upgrade-arrays" >"$dir/script"
printf '{\n  "name": "box:data",\n  "uuid": "%s"\n}\n' $uuid >"$dir/run/ringraid/x/state.json"

# A process whose program was replaced.
cp "$(command -v sleep)" "$dir/old"
"$dir/old" 60 &
old=$!
until [ "$(readlink "/proc/$old/exe")" = "$(realpath "$dir")/old" ]; do sleep 0.1; done
rm "$dir/old"

cat >"$dir/bin/ringraid" <<END
#!/bin/sh
echo "ringraid \$*" >>"$dir/log"
case "\$*" in
--json*) printf '{\n  "job": {\n    "state": "%s"\n  },\n  "pid": $old,\n  "state": "%s"\n}\n' "\$(cat "$dir/job")" "\$(cat "$dir/health")" ;;
handover*) cat "$dir/handover" >&2; [ ! -s "$dir/handover" ] || exit 1; echo 'handed over from pid 1 to 2' ;;
upgrade*) [ ! -e "$dir/refuse" ] || { echo 'it would lose something' >&2; exit 1; } ;;
esac
END
cat >"$dir/bin/systemctl" <<END
#!/bin/sh
echo "systemctl \$*" >>"$dir/log"
case "\$1" in
show) if [ -e "$dir/killed" ]; then echo 1; else echo $old; fi ;;
kill) touch "$dir/killed" ;;
esac
END
chmod +x "$dir"/bin/*

# upgrade HEALTH JOB WORDS [killed]: says WORDS, and kills only where that is said.
upgrade() {
	rm -f "$dir/killed" "$dir/log"
	echo "$1" >"$dir/health"
	echo "$2" >"$dir/job"
	PATH=$dir/bin:$PATH sh "$dir/script" 2>"$dir/said"
	grep -q "$3" "$dir/said" || { echo "$1, $2: it said:"; cat "$dir/said" "$dir/log"; exit 1; }
	[ -e "$dir/killed" ] || [ -z "${4:-}" ] || { echo "$1, $2: nothing was killed"; exit 1; }
	[ ! -e "$dir/killed" ] || [ -n "${4:-}" ] || { echo "$1, $2: the daemon was killed"; exit 1; }
}

: >"$dir/handover"
upgrade healthy '' "$unit has the new daemon: handed over from pid 1 to 2"
grep -qx "ringraid upgrade $uuid" "$dir/log" || { echo 'the program was not exchanged first'; exit 1; }
upgrade degraded '' 'not healthy and idle'
upgrade healthy running 'not healthy and idle'
echo 'the daemon that serves is of a version that cannot hand over' >"$dir/handover"
upgrade healthy '' "$unit has the new daemon$" killed
echo 'the next daemon cannot serve: no memory' >"$dir/handover"
upgrade healthy '' 'keeps its daemon: the next daemon cannot serve'
: >"$dir/handover"
touch "$dir/refuse"
upgrade healthy '' 'it would lose something'
rm "$dir/refuse"
echo RINGRAID_KEEP_DAEMONS=1 >"$dir/ringraid"
upgrade healthy '' 'keeps its daemon, as'
