import test from 'ava';
import { questions } from '../../src/page/questions.js';
import { Reading } from '../../src/page/reading.js';
import { ServedSource } from '../../src/page/source.js';
import { signedStore, servedLog, writeEvents } from './evidence/served-log.js';

const AS_A_BROWSER = { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } };

test('a browser gets the page at /, with a policy of hashes; programs get what they got', async (t) => {
  const log = await servedLog(t, await signedStore(t, 2));
  const answer = await fetch(new URL('/', log), AS_A_BROWSER);
  t.is(answer.status, 200);
  t.is(answer.headers.get('content-type'), 'text/html; charset=utf-8');
  t.is(answer.headers.get('vary'), 'Accept');
  const policy = answer.headers.get('content-security-policy') ?? '';
  for (const part of ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", 'worker-src blob:']) {
    t.true(policy.includes(part), part);
  }
  t.false(policy.includes('unsafe'));
  t.regex(await answer.text(), /^<!doctype html>/);
  const asProgram = await fetch(new URL('/', log));
  t.is(asProgram.headers.get('vary'), 'Accept');
  t.like(await asProgram.json(), { name: 'imagelog', head: 2 });
});

test('contents are read by their digest, by who may read', async (t) => {
  const store = await signedStore(t, 1);
  const log = await servedLog(t, store);
  const [id = ''] = store.map().keys();
  const answer = await fetch(`${log}/content/${id}`);
  t.is(answer.headers.get('content-type'), 'application/octet-stream');
  t.is(answer.headers.get('x-content-type-options'), 'nosniff');
  t.deepEqual(new Uint8Array(await answer.arrayBuffer()), store.readContent(id));
  t.is((await fetch(`${log}/content/sha256:${'0'.repeat(64)}`)).status, 404);
  const forwarded = { 'x-forwarded-for': '8.8.8.8' };
  t.is((await fetch(`${log}/content/${id}`, { headers: forwarded })).status, 403);
  t.is((await fetch(new URL('/', log), { headers: { ...AS_A_BROWSER.headers, ...forwarded } })).status, 403);
});

test('a server of the past gives nothing of later: no event, no content, no feed to follow', async (t) => {
  const store = await signedStore(t, 2);
  const early = [...store.map().keys()];
  await writeEvents(store, 1);
  const late = [...store.map().keys()].find((id) => !early.includes(id)) ?? t.fail();
  const log = await servedLog(t, store, { at: 2 });
  for (const id of early) t.is((await fetch(`${log}/content/${id}`)).status, 200);
  t.is((await fetch(`${log}/content/${late}`)).status, 404);
  t.is((await fetch(`${log}/proofs/3`)).status, 404);
  t.is((await fetch(`${log}/tile/entries/000.p/3`)).status, 404);
  t.regex(await (await fetch(new URL('/', log), AS_A_BROWSER)).text(), /^<!doctype html>\s*<html data-past /);
  const source = await ServedSource.open(String(new URL('/', log)));
  const reading = await Reading.begin(source);
  await reading.read();
  t.like(reading.verdict, { size: 2, hashed: 2, damage: undefined });
  t.is(await reading.content(late), undefined);
  const { signature } = await questions.evidence(reading, { key: store.verifierKey, seen: undefined });
  t.is(signature.state, 'valid');
});
