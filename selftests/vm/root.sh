# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The environment: Debian 13, where everything is built and every VM is hosted.
#
# On Debian 13 that is the machine itself, with the packages installed. Any
# other machine gets a private Debian 13 root in the cache, named after a hash
# of its suite and package list. in_root enters it through chroot in a mount
# and a PID namespace that end with the command, so neither a mount nor a
# process outlives a run, not even one that was killed. In there /src is the
# tree, read-only; the cache is at its own path; /tmp is empty.
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with run

root_packages() { grep -v '^#' "$vm_dir/packages"; }
root_key() { { echo "$suite"; root_packages; } | short_hash; }
root_dir() { echo "$cache/root-$(root_key)"; }

is_native() { [ "$(os_release ID)-$(os_release VERSION_CODENAME)" = "debian-$suite" ]; }

# What is made in the environment depends on this.
root_state() { if is_native; then stat -c %Y /var/lib/dpkg/status; else root_key; fi; }

# Where the tree is, seen from inside.
root_src() { if is_native; then echo "$top"; else echo /src; fi; }

root_ensure() {
	if is_native; then
		native_missing >/dev/null || with_lock root native_install
	elif [ ! -d "$(root_dir)" ]; then
		is_root || die "making the Debian 13 root needs root" "run it as root"
		with_lock root root_make
	elif ! is_root; then
		die "entering the Debian 13 root needs root" "run it as root"
	fi
}

root_make() {
	local dir tmp aptopts=() line sources
	dir=$(root_dir)
	tmp=$dir.tmp
	[ ! -d "$dir" ] || return 0
	command -v mmdebstrap >/dev/null || machine_install mmdebstrap
	apt_keys
	while read -r line; do aptopts+=("--aptopt=$line"); done < <(apt_proxies)
	sources=$(apt_sources) || exit 1
	say "making the Debian 13 root (a minute or so)"
	rm -rf --one-file-system -- "$tmp"
	logged "$cache/log/root.log" mmdebstrap --mode=root --variant=minbase --format=directory \
		"${aptopts[@]}" --include="$(root_packages | paste -sd,)" "$suite" "$tmp" - <<<"$sources" ||
		die "mmdebstrap failed" "the whole log: $cache/log/root.log"
	mv -T "$tmp" "$dir"
}

# Prints what a Debian 13 machine lacks; true when that is nothing.
native_missing() {
	local p missing=0 v
	while read -r p; do
		v=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' "${p%/*}" 2>/dev/null || true)
		case $v in
		ii*) [ "${p%/*}" = "$p" ] || version_ge "${v#ii }" 6.16 || { echo "$p"; missing=1; } ;;
		*) echo "$p"; missing=1 ;;
		esac
	done < <(root_packages)
	return $missing
}

native_install() {
	local missing
	mapfile -t missing < <(native_missing)
	[ ${#missing[@]} -gt 0 ] || return 0
	is_root || die "missing packages: ${missing[*]}" \
		"./run build installs them, as root (linux-libc-dev comes from $suite-backports)"
	say "installing ${#missing[@]} packages"
	trixie_apt_setup /var/lib/dpkg/status || die "cannot reach the Debian mirror"
	logged "$cache/log/install.log" env DEBIAN_FRONTEND=noninteractive \
		apt-get -c "$cache/apt/apt.conf" -q -y install --no-install-recommends "${missing[@]}" ||
		die "could not install: ${missing[*]}" "the whole log: $cache/log/install.log"
}

# expose PATH NAME: makes a file of the machine visible inside as $work/NAME.
root_binds=()
expose() {
	[ -e "$1" ] || die "no such file: $1"
	if is_native; then
		ln -sfn "$(realpath "$1")" "$work/$2"
	else
		: >"$work/$2"
		root_binds+=("$(realpath "$1")" "$work/$2")
	fi
}

# in_root COMMAND...: runs it in the environment.
in_root() { (in_root_exec "$@"); }

# The same in place of this shell: the caller is its parent, and its death is
# the command's death.
in_root_exec() {
	local vars=(PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TERM="${TERM:-dumb}") v
	for v in "${!RINGRAID_@}"; do vars+=("$v=${!v}"); done
	if is_native; then
		exec setpriv --pdeathsig KILL env "${vars[@]}" "$@"
	fi
	exec setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child \
		bash "$vm_dir/enter.sh" "$(root_dir)" "$top" "$cache" \
		${#root_binds[@]} "${root_binds[@]}" env -i HOME=/tmp "${vars[@]}" "$@"
}
