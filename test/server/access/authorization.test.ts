import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { MAX_ACTOR_BYTES, MAX_AUTHORIZATION_LENGTH } from '../../../src/limits.js';
import { type Presented, parseAuthorization } from '../../../src/server/access/authorization.js';
import { basic } from './credentials.js';

const reads = test.macro({
  title: (title = '') => `Authorization: ${title}`,
  exec: (t: ExecutionContext, headers: readonly string[], expected: Presented) => {
    t.deepEqual(parseAuthorization(headers), expected);
  },
});

const encoded = (...bytes: readonly number[]): string => `Basic ${Buffer.from(bytes).toString('base64')}`;
const malformed = (why: string): Presented => ({ scheme: 'malformed', why });
const badForm = malformed('a malformed Authorization header');
const badBase64 = malformed('malformed base64 in Basic');
const badControl = malformed('a control character in a name or password');
const badUtf8 = malformed('a name or password that is not UTF-8');
const tooMany = malformed('more than one Authorization header');
const tooLong = malformed(`an Authorization header of more than ${MAX_AUTHORIZATION_LENGTH} characters`);

test('none', reads, [], { scheme: 'none' });
test('name and password', reads, [basic('alice', 'a:b c')], { scheme: 'basic', user: 'alice', password: 'a:b c' });
test('a scheme in any case', reads, ['bAsIc YTpi'], { scheme: 'basic', user: 'a', password: 'b' });
test('base64 without padding', reads, ['Basic YTpiYw'], { scheme: 'basic', user: 'a', password: 'bc' });
test('an empty password', reads, [basic('alice', '')], { scheme: 'basic', user: 'alice', password: '' });
test('empty name and password, as some clients without any send', reads, [basic('', '')], { scheme: 'none' });
test('a name that is not ASCII', reads, [basic('zoë', 'ö')], { scheme: 'basic', user: 'zoë', password: 'ö' });
test('a decomposed name', reads, [basic('zoe\u0308', 'x')], { scheme: 'basic', user: 'zo\u00eb', password: 'x' });
test('a byte order mark', reads, [basic('\ufeffa', 'x')], { scheme: 'basic', user: '\ufeffa', password: 'x' });
test('a token', reads, ['Bearer abc.DEF-_~+/=='], { scheme: 'bearer', token: 'abc.DEF-_~+/==' });
test('another scheme', reads, ['Digest username="a"'], { scheme: 'other' });
test('a scheme alone', reads, ['Negotiate'], { scheme: 'other' });
test('an empty header', reads, [''], badForm);
test('Basic alone', reads, ['Basic'], badForm);
test('Basic of two words', reads, ['Basic YTpi YTpi'], badForm);
test('a token with a space', reads, ['Bearer a b'], badForm);
test('a token with other characters', reads, ['Bearer a"b'], badForm);
test('base64 with bits over', reads, ['Basic YTpiYx'], badBase64);
test('no colon', reads, ['Basic YWxpY2U='], malformed('no colon after the name in Basic'));
test('bytes that are not UTF-8', reads, [encoded(0x7a, 0xeb, 0x3a, 0x78)], badUtf8);
test('a NUL', reads, [basic('alice\0', 'x')], badControl);
test('a line end in a password', reads, [basic('alice', 'x\ny')], badControl);
test('a long name', reads, [basic('n'.repeat(MAX_ACTOR_BYTES + 1), 'x')], malformed('a name of more than 1024 bytes'));
test('two headers', reads, [basic('alice', 'x'), basic('alice', 'x')], tooMany);
test('a header at the limit', reads, [`Bearer ${'a'.repeat(MAX_AUTHORIZATION_LENGTH - 7)}`], {
  scheme: 'bearer',
  token: 'a'.repeat(MAX_AUTHORIZATION_LENGTH - 7),
});
test('a header beyond the limit', reads, [`Bearer ${'a'.repeat(MAX_AUTHORIZATION_LENGTH - 6)}`], tooLong);

test('any name and password without control characters comes back, the name in NFC', (t) => {
  const text = fc.string({ unit: 'grapheme' }).filter((each) => !/\p{Cc}/u.test(each));
  const property = fc.property(text, text, (name, password) => {
    const user = name.replaceAll(':', '');
    const expected = { scheme: 'basic', user: user.normalize('NFC'), password };
    t.deepEqual(
      parseAuthorization([basic(user, password)]),
      user === '' && password === '' ? { scheme: 'none' } : (expected as Presented),
    );
  });
  t.notThrows(() => fc.assert(property, { numRuns: 300 }));
});

test('no header makes the parser throw, and what it takes it read as a whole', (t) => {
  const word = fc.constantFrom('Basic ', 'Bearer ', 'basic', ' ', '=', '\t', ':', 'Ōľ', 'YTpi', '\u00ff', ',');
  const header = fc
    .array(fc.oneof(word, fc.string({ unit: 'binary' })), { maxLength: 6 })
    .map((parts) => parts.join(''));
  const property = fc.property(header, (value) => {
    const presented = parseAuthorization([value]);
    if (presented.scheme === 'bearer') t.is(value.replace(/^bearer +/i, ''), presented.token);
    if (presented.scheme !== 'basic') return;
    t.false(/\p{Cc}/u.test(presented.user + presented.password));
    const again = parseAuthorization([basic(presented.user, presented.password)]);
    t.deepEqual(again, presented);
  });
  t.notThrows(() => fc.assert(property, { numRuns: 1_000 }));
});
