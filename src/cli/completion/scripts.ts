/*
 * What each shell loads. A script asks `imagelog completion SHELL -- WORDS`, where the last word is
 * the one to complete, up to the cursor. The first line of the answer is `words`, `files` or
 * `folders`; after `words` each line is a value, a tab and its description. Nothing that was typed is
 * evaluated.
 */

/** Bash 3.2 and newer, also without the package bash-completion. */
const bash = String.raw`# Completes imagelog in bash. Load it in ~/.bashrc: source <(imagelog completion bash)
_imagelog() {
  local rest="\${COMP_LINE:0:COMP_POINT}" trimmed part line kind='' before='' n=-1 i
  local -a words
  words=()
  # Bash splits words also at : = and @. Join those that no blank separates.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    trimmed="\${rest#"\${rest%%[![:space:]]*}"}"
    if [[ $i -eq 0 || $trimmed != "$rest" ]]; then
      n=$((n + 1))
      words[n]=''
    fi
    part="\${COMP_WORDS[i]}"
    [[ $i -eq $COMP_CWORD ]] && part="$trimmed"
    words[n]="\${words[n]}$part"
    rest="\${trimmed#"$part"}"
  done
  local cur="\${words[n]}" breaks="\${COMP_WORDBREAKS//[^:=@]/}"
  # Readline replaces only what is after the last of them.
  if [[ -n $breaks && $cur == *[$breaks]* ]]; then
    before="\${cur%"\${cur##*[$breaks]}"}"
  fi
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ -z $kind ]]; then
      kind="$line"
    else
      line="\${line%%$'\t'*}"
      [[ $line == "$cur"* ]] && COMPREPLY+=("\${line#"$before"}")
    fi
  done < <("$1" completion bash -- "\${words[@]:1}" 2>/dev/null)
  case $kind in
    files) compopt -o default 2>/dev/null ;;
    folders) compopt -o dirnames 2>/dev/null ;;
  esac
}
complete -F _imagelog imagelog`.replaceAll('\\$', '$');

const zsh = String.raw`#compdef imagelog
# Completes imagelog in zsh. Load it in ~/.zshrc, after compinit: source <(imagelog completion zsh)
_imagelog() {
  local line kind
  local -a values
  while IFS= read -r line; do
    if [[ -z $kind ]]; then
      kind=$line
    else
      values+=("\${\${line%%$'\t'*}//:/\\:}:\${line#*$'\t'}")
    fi
  done < <("\${words[1]}" completion zsh -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)
  [[ $kind == words ]] || compset -P '--*='
  case $kind in
    files) _files ;;
    folders) _files -/ ;;
    words) _describe -t values imagelog values ;;
  esac
}
if [[ $funcstack[1] == _imagelog ]]; then
  _imagelog "$@"
else
  compdef _imagelog imagelog
fi`.replaceAll('\\$', '$');

const fish = String.raw`# Completes imagelog in fish. Load it in ~/.config/fish/config.fish: imagelog completion fish | source
function __imagelog_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -e words[1]
    set -l current (commandline -ct)
    set -l lines ($program completion fish -- $words "$current" 2>/dev/null)
    set -l kind "$lines[1]"
    set -e lines[1]
    set -l option (string match -r -- '^--[^=]*=' "$current")
    set -l path (string replace -r -- '^--[^=]*=' '' "$current")
    switch $kind
        case words
            test (count $lines) -gt 0; and printf '%s\n' $lines
        case files
            for each in (__fish_complete_path "$path")
                printf '%s\n' "$option$each"
            end
        case folders
            for each in (__fish_complete_directories "$path")
                printf '%s\n' "$option$each"
            end
    end
end
complete -c imagelog -f -a '(__imagelog_complete)'`;

/** The script of each shell that can complete command lines. */
export const scripts = { bash, zsh, fish };

/** A shell that can complete command lines. */
export type Shell = keyof typeof scripts;

/** Their names. */
export const shells = Object.keys(scripts) as readonly Shell[];
