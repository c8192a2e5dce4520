# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Debian 13 packages from whatever mirror this machine already uses.
#
# apt runs here with sources, lists and a status of its own under the cache, so
# the machine's own sources are read and never changed, while its proxies,
# transports and credentials apply as they are.
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with run

suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The address of the Debian archive in the machine's own apt configuration.
apt_site() {
	if [ -n "${RINGRAID_MIRROR:-}" ]; then
		echo "$RINGRAID_MIRROR"
	elif [ "$(os_release ID)" = debian ]; then
		# Suites like trixie-updates, and archives of others, have no main/ of this form.
		apt-get update --print-uris |
			sed -nE "s,^'([^']+)/dists/[^-/']+/main/binary-.*,\1,p" | head -n1
	fi
}

# The proxies of the machine, as apt configuration lines.
apt_proxies() { apt-config dump | grep -E '^Acquire::[a-z]+::Proxy(::[^ ]*)? "' || true; }

apt_sources() {
	local site
	site=$(apt_site)
	[ -n "$site" ] || die "no Debian mirror in the configuration of apt" \
		"name one: RINGRAID_MIRROR=http://... ./run ..."
	printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$site" "$suite" \
		"$keyring" "$site" "$suite-backports"
}

# Installs packages of the machine itself (its own suite).
machine_install() {
	is_root || die "missing on this machine: $*" "as root: apt-get install $*"
	say "installing $*"
	logged "$cache/log/install.log" env DEBIAN_FRONTEND=noninteractive sh -c \
		'apt-get -q update && apt-get -q -y install --no-install-recommends "$@"' sh "$@" ||
		die "could not install $*"
}

# The archive keys of Debian 13; older machines have them after an update.
apt_keys() {
	[ -e /usr/share/keyrings/debian-archive-$suite-stable.gpg ] ||
		machine_install debian-archive-keyring
}

# trixie_apt apt-get|apt-cache ARGS...
trixie_apt() {
	local prog=$1 dir=$cache/apt
	shift
	"$prog" -c "$dir/apt.conf" "$@"
}

# trixie_apt_setup [STATUS-FILE]
trixie_apt_setup() {
	local dir=$cache/apt sources
	apt_keys
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	sources=$(apt_sources) || exit 1
	printf '%s\n' "$sources" >"$dir/sources.list"
	cat >"$dir/apt.conf" <<-EOF
		Dir::Etc::SourceList "$dir/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::State::Lists "$dir/lists";
		Dir::State::Status "${1:-$dir/status}";
		Dir::Cache "$dir/cache";
		APT::Sandbox::User "root";
	EOF
	logged "$cache/log/apt.log" trixie_apt apt-get -q update
}
