import { createHash } from 'node:crypto';
import test from 'ava';
import { formatAddress, parseAddress } from '../../src/page/address.js';
import { contentPolicy, dataBlocks, documentParts } from '../../src/page/document.js';

const TEMPLATE = '<head><!-- policy --><style>a{}</style></head><body><!-- data --><script>let $& = 1;</script></body>';

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

test('the policy allows the script and the style of the template alone, by their hashes', (t) => {
  const policy = contentPolicy(TEMPLATE, { connects: true });
  t.true(policy.includes(`script-src ${hashOf('let $& = 1;')};`));
  t.true(policy.includes(`style-src ${hashOf('a{}')};`));
  t.true(policy.startsWith("default-src 'none';"));
  t.true(policy.includes("connect-src 'self'"));
  t.false(/unsafe/.test(policy));
});

test('a document has its policy, which connects to nothing, and its data before the script', (t) => {
  const { head, tail } = documentParts(TEMPLATE);
  t.true(head.includes("connect-src 'none'"));
  t.is(tail, '<script>let $& = 1;</script></body>');
});

test('no text of a log ends a block of data', (t) => {
  const log = {
    checkpoint: '</script><script>alert(1)</script>\n0\n\n',
    first: 1,
    madeAt: 0,
    recordBlocks: 0,
    contentBlocks: [],
    leftOut: { contents: 0, limitBytes: 1 },
  };
  const [first = ''] = dataBlocks(log, { records: [], witnesses: '', tiles: '', contents: [] });
  t.is(first.match(/<\/script>/g)?.length, 1);
  const json = first.slice(first.indexOf('>') + 1, first.lastIndexOf('<'));
  t.deepEqual(JSON.parse(json), log);
});

test('an address says what is shown, and is read again', (t) => {
  const shown = { at: '27', ref: 'docker.io/shop/app:prod', q: '*:prod & [a-z]? 100%', zone: 'utc' };
  const address = formatAddress(shown);
  t.true(address.startsWith('#at=27&ref=docker.io/shop/app:prod&q='));
  t.deepEqual(parseAddress(address), shown);
  t.deepEqual(parseAddress('#at=last+tuesday&x=1&ref='), { at: 'last tuesday' });
  t.is(formatAddress({}), '');
  t.deepEqual(parseAddress('#ref=app'), { ref: 'docker.io/library/app:latest' });
  t.deepEqual(parseAddress('#ref=No:ref:at-all&at=3'), { at: '3', q: 'No:ref:at-all' });
});
