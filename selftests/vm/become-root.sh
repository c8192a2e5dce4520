# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Root for the commands that need it: to make and enter the environment, to load
# BPF programs. A command that was started by somebody else asks for it by sudo,
# or by su where there is no sudo, and starts again as root with the same
# arguments and the same RINGRAID_ variables.
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with run

# root_way: sudo, su or nothing, in this order of preference.
root_way() {
	local way
	for way in sudo su; do
		! command -v $way >/dev/null || { echo $way; return; }
	done
}

# needs_root COMMAND ARGS...: on Debian 13 with every package there, building and
# booting VMs does not.
needs_root() {
	case "$1" in
	help | -h | --help | doctor) return 1 ;;
	test | demo | bench) [[ " $* " != *" --help "* && " $* " != *" -h "* ]] ;;
	build | package | kernel | vm | shell | clean) ! is_native || ! native_missing >/dev/null ;;
	*) return 1 ;;
	esac
}

# become_root COMMAND ARGS...: returns as root, or where nobody needs to be.
become_root() {
	local v again
	! is_root && needs_root "$@" || return 0
	again=(/usr/bin/env)
	for v in "${!RINGRAID_@}"; do again+=("$v=${!v}"); done
	again+=("$top/run" "$@")
	case $(root_way) in
	sudo)
		say "root is needed: asking sudo"
		exec sudo -- "${again[@]}"
		;;
	su)
		say "root is needed: asking su"
		# su hands one string to a shell, and the caller's PATH to the command.
		exec su -s /bin/bash -c "PATH=/usr/local/sbin:/usr/sbin:/sbin:\$PATH exec ${again[*]@Q}" root
		;;
	*) die "./run $1 needs root, and there is neither sudo nor su" "run it as root: $top/run $*" ;;
	esac
}
