#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Completion in a real bash and a real zsh: what a key press offers, on a screen of tmux,
# and all commands and options by the shell's own functions.
. "${0%/*}/lib.sh"
export TERM=screen LC_ALL=C.UTF-8
mkdir -p "$tmp/z"

bash_offers() { # WORD...: what bash offers for the last one
	bash --norc -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ringraid
		printf "%s\n" "${COMPREPLY[@]}"' bash "$tmp/bash" "$@"
}

all_commands() {
	local c d
	for c in $(below); do bash_offers ringraid '' | has "$c" || { echo "no $c"; return 1; }; done
	for d in $(below store); do bash_offers ringraid store '' | has "$d" || { echo "no store $d"; return 1; }; done
	! bash_offers ringraid '' | has ublk-stop || { echo "ublk-stop is for nobody"; return 1; }
}

all_options() {
	local c o
	while read -r c; do
		# shellcheck disable=SC2086 # words
		for o in $("$program" $c --help | grep -oE '^  (-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
			# shellcheck disable=SC2086
			bash_offers ringraid $c -- | has "$o" || { echo "$c: no $o"; return 1; }
		done
	done < <(commands)
}

values() {
	[ "$(bash_offers ringraid create --engine '' | tr '\n' ' ')" = 'auto bpf user ' ] || return 1
	[ "$(bash_offers ringraid completion z)" = zsh ] || return 1
	bash_offers ringraid set data '' | has sync-min= || return 1
	# The value of an option is no word of the command, and a word is not one twice.
	[ "$(bash_offers ringraid create --chunk create --layout left-s)" = left-symmetric ] || return 1
	[ "$(cd "$tmp/z"; bash_offers ringraid upgrade --probation-ms 5 data _ring)" = _ringraid ] || return 1
	[ "$(bash_offers ringraid --json store ge)" = get ]
}

# typed SHELL-COMMAND KEYS TEXT: after KEYS the screen has TEXT.
typed() {
	local session=c$BASHPID i screen=''
	# Its own: the server of the one before may be about to end, as it has no session any more.
	local socket=$tmp/tmux-$session
	tmux -S "$socket" -f /dev/null new-session -d -s "$session" -x 80 -y 24 "$1"
	for ((i = 0; i < 100; i++)); do
		screen=$(tmux -S "$socket" capture-pane -p -t "$session")
		[[ $screen != *ready* ]] || break
		sleep 0.1
	done
	tmux -S "$socket" send-keys -t "$session" -l "$2"
	for ((i = 0; i < 100; i++)); do
		screen=$(tmux -S "$socket" capture-pane -p -t "$session")
		[[ $screen != *"$3"* ]] || break
		sleep 0.1
	done
	tmux -S "$socket" kill-session -t "$session"
	[[ $screen = *"$3"* ]] || { printf 'no "%s" in:\n%s\n' "$3" "$screen"; return 1; }
}

"$program" completion bash >"$tmp/bash"
"$program" completion zsh >"$tmp/z/_ringraid"
echo "PS1='ready '; . '$tmp/bash'" >"$tmp/bashrc"
cat >"$tmp/z/.zshrc" <<EOF
PS1='ready '; fpath=('$tmp/z' \$fpath); autoload -Uz compinit; compinit -u -d '$tmp/z/dump'
zstyle ':completion:*' verbose yes
EOF
in_bash="bash --noprofile --rcfile $tmp/bashrc -i"
in_zsh="env ZDOTDIR=$tmp/z zsh -d -i"
tab=$'\t'

check bash.script bash -n "$tmp/bash"
check bash.commands all_commands
check bash.options all_options
check bash.values values
check bash.typed-command typed "$in_bash" "ringraid comp$tab" 'ringraid completion'
check bash.typed-option typed "$in_bash" "ringraid create x --assume$tab" '--assume-clean'
check bash.typed-setting typed "$in_bash" "ringraid set data sync-mi${tab}7" 'sync-min=7'
check zsh.script zsh -n "$tmp/z/_ringraid"
check zsh.typed-command typed "$in_zsh" "ringraid comp$tab" 'ringraid completion'
check zsh.typed-below typed "$in_zsh" "ringraid store comp$tab" 'ringraid store compact'
check zsh.typed-option typed "$in_zsh" "ringraid create x --assume$tab" '--assume-clean'
check zsh.typed-value typed "$in_zsh" "ringraid create --engine u$tab" '--engine user'
check zsh.typed-setting typed "$in_zsh" "ringraid set data sync-mi${tab}7" 'sync-min=7'
check zsh.descriptions typed "$in_zsh" "ringraid re$tab" 'let a spare'
