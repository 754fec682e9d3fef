import { sha256 } from '#sha256';
import { bytesToBase64 } from '../log/note.js';
import type { EmbeddedBlocks, EmbeddedLog } from './source.js';

/* The document of the page: a template with one script and one style, and blocks of data in it. */

/** Where blocks of data go in the template. */
const DATA_PLACE = '<!-- data -->';
/** Where a policy goes that the document brings itself. */
const POLICY_PLACE = '<!-- policy -->';

/** Id of the block with the facts of an embedded log. */
export const LOG_ID = 'log';
/** Beginnings of the ids of further blocks: `records-0`, `contents-3`. */
export const BLOCK_IDS = {
  records: 'records-',
  contents: 'contents-',
  witnesses: 'witnesses',
  tiles: 'tiles',
} as const;

/** Returns a policy (CSP 3) that runs the script and the style of a template, and nothing else. */
export function contentPolicy(template: string, { connects }: { readonly connects: boolean }): string {
  return [
    "default-src 'none'",
    `script-src ${hashesOf(template, 'script')}`,
    `style-src ${hashesOf(template, 'style')}`,
    'worker-src blob:',
    'img-src data:',
    `connect-src ${connects ? "'self'" : "'none'"}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

function hashesOf(template: string, tag: 'script' | 'style'): string {
  const texts = [...template.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, 'gs'))].map(([, text = '']) => text);
  return texts.map((text) => `'sha256-${bytesToBase64(sha256(new TextEncoder().encode(text)))}'`).join(' ');
}

/** Returns the head of a document with a log in it, up to its blocks of data, and what follows them. */
export function documentParts(template: string): { readonly head: string; readonly tail: string } {
  const policy = `<meta http-equiv="Content-Security-Policy" content="${contentPolicy(template, { connects: false })}">`;
  // Functions: a text with a dollar sign would else be read as a pattern.
  const [head = '', tail = ''] = template.replace(POLICY_PLACE, () => policy).split(DATA_PLACE);
  return { head, tail };
}

/** Returns the blocks of a document, one after another. */
export function* dataBlocks(log: EmbeddedLog, blocks: EmbeddedBlocks): Generator<string> {
  // A name with `</script>` in it must not end the block.
  yield block('application/json', LOG_ID, JSON.stringify(log).replaceAll('<', '\\u003c'));
  yield block('text/plain', BLOCK_IDS.witnesses, blocks.witnesses);
  yield block('text/plain', BLOCK_IDS.tiles, blocks.tiles);
  for (const [at, text] of blocks.records.entries()) yield block('text/plain', `${BLOCK_IDS.records}${at}`, text);
  for (const [at, text] of blocks.contents.entries()) yield block('text/plain', `${BLOCK_IDS.contents}${at}`, text);
}

function block(type: string, id: string, text: string): string {
  return `<script type="${type}" id="${id}">${text}</script>\n`;
}
