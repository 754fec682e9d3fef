#!/bin/sh
# Runs the named scripts of package.json one after another, up to the first that fails. The last lines then say which step that
# was, and what failed in it: tests, rules, places.
set -u
log=$(mktemp)
trap 'rm -f "$log" "$log.status"' EXIT
escape=$(printf '\033')

# What the log says of failures: tests and hangs (ava), rules (biome, eslint, typedoc), errors of the compiler; else its end.
failures() {
  sed "s/$escape\[[0-9;]*[A-Za-z]//g" "$log" >"$log.status"
  grep -E '^ *(✘|✖|×) |Uncaught exception|Unhandled rejection|Timed out|(lint|assist|suppressions)/[a-zA-Z/]+|^[^ ]+ (format|organizeImports) |^ +[0-9]+:[0-9]+ +(error|warning) |^/.*\.[a-z]+$|error TS[0-9]+|^\[(error|warning)\]' "$log.status" | awk '!seen[$0]++' | tail -n 40 | grep . ||
    tail -n 25 "$log.status"
}

for step in "$@"; do
  printf '\n==> %s\n' "$step"
  { npm run --silent "$step" 2>&1; echo $? >"$log.status"; } | tee "$log"
  status=$(cat "$log.status")
  if [ "$status" -ne 0 ]; then
    printf '\nfailed in npm run %s:\n' "$step"
    failures
    exit 1
  fi
done
printf '\nall passed: %s\n' "$*"
