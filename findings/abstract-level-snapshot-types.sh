#!/bin/sh
# abstract-level 3.1.1: the types of AbstractSnapshot allow what throws, and refuse what works.
#
# Behaviour: the constructor reads `options.owner` and throws a TypeError without options; the
# declarations give it no parameter. So a database in TypeScript whose `_snapshot()` makes one with
# its owner does not compile (TS2554), and one that compiles fails at its first snapshot.
# Output seen: with an owner: TS2554 , runs; without one: , TypeError
# Fails when types and code agree.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts abstract-level@3.1.1 typescript@5.9.3 @types/node@20.19.43 >/dev/null
cat >common.mts <<'TS'
import { AbstractLevel } from 'abstract-level';
export class Empty extends AbstractLevel<string> {
  constructor() {
    super({ encodings: { utf8: true }, explicitSnapshots: true });
  }
}
TS
cat >with.mts <<'TS'
import { AbstractSnapshot } from 'abstract-level';
import { Empty } from './common.mjs';
new AbstractSnapshot({ owner: new Empty() });
TS
cat >without.mts <<'TS'
import { AbstractSnapshot } from 'abstract-level';
new AbstractSnapshot();
TS
flags='--module nodenext --target es2022 --strict --skipLibCheck'
codes() { npx tsc $flags "$1" 2>&1 | grep -o 'TS[0-9]*' | sort -u | tr '\n' ' '; }
run() { node "$1" >out 2>&1 && echo runs || grep -o 'TypeError' out | head -n 1; }
line="with an owner: $(codes with.mts), $(run with.mjs); without one: $(codes without.mts), $(run without.mjs)"
echo "$line"
test "$line" = 'with an owner: TS2554 , runs; without one: , TypeError'
