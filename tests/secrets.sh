#!/bin/bash
# Does a secret stand in what the tests printed or left? Looks through files and folders, and through every object of the Git
# repositories in them, for each line of secrets.txt; names what it finds, never the secret.
#
#     tests/secrets.sh FILE-OR-FOLDER...
#     tests/secrets.sh --itself            plants each kind in each kind of place, and must find it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kinds=$(mktemp)
trap 'rm -f "$kinds"' EXIT
grep -v '^#' "$here/secrets.txt" > "$kinds"

# The one answer of a forge that is a token may hold it.
look() {
	local found=0 repository
	if grep -rahE -f "$kinds" -- "$@" | grep -v '/access_tokens"' > /dev/null; then
		echo "A secret stands in:" >&2
		grep -raEl -f "$kinds" -- "$@" >&2
		found=1
	fi
	while read -r repository; do
		if git --git-dir "${repository%/HEAD}" cat-file --batch-all-objects --batch | grep -aE -f "$kinds" > /dev/null; then
			echo "A secret stands in an object of ${repository%/HEAD}" >&2
			found=1
		fi
	done < <(find "$@" -name HEAD -path '*.git/HEAD')
	return $found
}

itself() {
	local folder kind samples
	folder=$(mktemp -d)
	# shellcheck disable=SC2064
	trap "rm -rf '$folder' '$kinds'" EXIT
	samples=(a-secret-of-the-hook swordfish-and-more ghp_aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789 ghp_planted-and-refused
		ghs_0a1b_Zz '-----BEGIN RSA PRIVATE KEY-----' AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQ 'Basic eDphLXRva2VuLW9mLW91cnM=')
	[ "${#samples[@]}" = "$(wc -l < "$kinds")" ] || { echo 'secrets.txt has a line that --itself does not try' >&2; exit 1; }
	git init -q --bare "$folder/a.git"
	echo 'nothing' > "$folder/printed"
	look "$folder" || { echo 'something is found where nothing is' >&2; exit 1; }
	for kind in "${samples[@]}"; do
		echo "said: \"$kind\" and more" > "$folder/printed"
		if look "$folder" 2> /dev/null; then echo "not found in a file: $kind" >&2; exit 1; fi
		echo 'nothing' > "$folder/printed"
		echo "$kind" | git --git-dir "$folder/a.git" hash-object -w --stdin > /dev/null
		if look "$folder" 2> /dev/null; then echo "not found in a repository: $kind" >&2; exit 1; fi
		rm -rf "$folder/a.git" && git init -q --bare "$folder/a.git"
	done
}

if [ "${1:-}" = --itself ]; then itself; else look "$@"; fi
