# bash completion of Chorus' programs: what their own --help lists, at the place of the cursor.
_chorus() {
  local current=${COMP_WORDS[COMP_CWORD]} word commands=()
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* || $word == */* || $word == *.* ]] || commands+=("$word")
  done
  local help
  help=$("${COMP_WORDS[0]}" "${commands[@]}" --help 2>/dev/null) || help=$("${COMP_WORDS[0]}" --help 2>/dev/null)
  local words
  words=$(awk '/^Options:/ { part = 1; next } /^Subcommands:/ { part = 2; next } /^[^ ]/ { part = 0 }
    part && match($0, /^  [^ ]+/) { split(substr($0, 3), word, /[ ,]/); for (w in word) if (word[w] ~ /^--/) print word[w];
      if (part == 2) print word[1] }' <<<"$help")
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  [[ ${#COMPREPLY[@]} -gt 0 ]] || mapfile -t COMPREPLY < <(compgen -f -- "$current")
}
complete -F _chorus chorus-coordinator chorus-client chorus-certs chorus-sim
