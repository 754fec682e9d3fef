/** Restores `bytes` in place, which lie at `position` of the block; returns how many are final. */
export type XzFilter = (bytes: Uint8Array, position: number) => number;

/** Names of the filters by their id, for messages. LZMA2 is not one of these: it is always the last. */
const NAMES = ['delta', 'x86', 'PowerPC', 'IA-64', 'ARM', 'ARM Thumb', 'SPARC', 'ARM64', 'RISC-V'];
const FIRST_ID = 3;
/** Start offsets are multiples of what one step of the filter moves on by. */
const ALIGNMENTS = [1, 1, 4, 16, 4, 2, 4, 4, 2];

/**
 * Returns the filter of an id with its properties: a distance for delta; for the others, which make
 * branch targets of machine code relative again, nothing or a start offset.
 *
 * Source: the .xz file format 1.2.1, section 5.3, and how xz 5.4 encodes each.
 * @throws {Error} naming the filter if unknown or with bad properties
 */
export function createXzFilter(id: number, properties: Uint8Array): XzFilter {
  const name = NAMES[id - FIRST_ID];
  if (name === undefined) throw new Error(`the filter 0x${id.toString(16)}, which no xz format 1.2.1 has`);
  if (id === FIRST_ID) {
    if (properties.length !== 1) throw new Error('bad properties of the delta filter');
    return deltaFilter((properties[0] ?? 0) + 1);
  }
  const isBare = properties.length === 0;
  if (!isBare && properties.length !== 4) throw new Error(`bad properties of the ${name} filter`);
  const offset = isBare ? 0 : new DataView(properties.buffer, properties.byteOffset).getUint32(0, true);
  if (offset % (ALIGNMENTS[id - FIRST_ID] ?? 1) !== 0) throw new Error(`a bad start offset of the ${name} filter`);
  const filter = branchFilter(id);
  if (filter === undefined) throw new Error(`the ${name} filter, which cannot be undone here: compress without it`);
  return (bytes, position) => filter(bytes, position + offset);
}

function branchFilter(id: number): XzFilter | undefined {
  switch (id) {
    case 4:
      return x86Filter();
    case 5:
      return wordFilter(false, powerPc);
    case 6:
      return ia64;
    case 7:
      return wordFilter(true, arm);
    case 8:
      return armThumb;
    case 9:
      return wordFilter(false, sparc);
    case 10:
      return wordFilter(true, arm64);
    default:
      return undefined;
  }
}

function deltaFilter(distance: number): XzFilter {
  const last = new Uint8Array(distance);
  let at = 0;
  return (bytes) => {
    for (let n = 0; n < bytes.length; n++) {
      const byte = ((bytes[n] ?? 0) + (last[at] ?? 0)) & 0xff;
      bytes[n] = byte;
      last[at] = byte;
      at = at + 1 === distance ? 0 : at + 1;
    }
    return bytes.length;
  };
}

/** A filter of instructions of 4 bytes: `restore` takes one with its address, and returns it as it was. */
function wordFilter(littleEndian: boolean, restore: (word: number, address: number) => number): XzFilter {
  return (bytes, position) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const end = bytes.length & ~3;
    for (let at = 0; at < end; at += 4) {
      const word = view.getInt32(at, littleEndian);
      const restored = restore(word, position + at);
      if (restored !== word) view.setInt32(at, restored, littleEndian);
    }
    return end;
  };
}

/** `bl`, always executed: 24 bits of words, from 8 bytes behind it. */
function arm(word: number, address: number): number {
  return word >>> 24 === 0xeb ? 0xeb000000 | ((word - ((address + 8) >>> 2)) & 0xffffff) : word;
}

/** `bl` with an absolute bit of 0 and a link bit of 1. */
function powerPc(word: number, address: number): number {
  return (word & 0xfc000003) === 0x48000001 ? 0x48000001 | ((word - address) & 0x03fffffc) : word;
}

/** `call` to a place within 16 MiB: 22 bits and their sign, extended to 30. */
function sparc(word: number, address: number): number {
  const high = word >>> 22;
  if (high !== 0x100 && high !== 0x1ff) return word;
  const target = word - (address >>> 2);
  return 0x40000000 | (((target << 9) >> 9) & 0x3fffffff);
}

/** `bl`, and `adrp` of a place within 512 MiB. */
function arm64(word: number, address: number): number {
  if (word >>> 26 === 0x25) return 0x94000000 | ((word - (address >>> 2)) & 0x03ffffff);
  if ((word & 0x9f000000) !== (0x90000000 | 0)) return word;
  const page = ((word >>> 29) & 3) | ((word >>> 3) & 0x1ffffc);
  if (((page + 0x20000) & 0x1c0000) !== 0) return word;
  const target = page - (address >>> 12);
  const kept = word & 0x9000001f;
  return kept | ((target & 3) << 29) | ((target & 0x3fffc) << 3) | (-(target & 0x20000) & 0xe00000);
}

/** `bl` of two halves, each with 11 bits of the target's half words, from 4 bytes behind it. */
function armThumb(bytes: Uint8Array, position: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  for (; at + 4 <= bytes.length; at += 2) {
    const high = view.getUint16(at, true);
    const low = view.getUint16(at + 2, true);
    if (high >>> 11 !== 0x1e || low >>> 11 !== 0x1f) continue;
    const target = (((high & 0x7ff) << 11) | (low & 0x7ff)) - ((position + at + 4) >>> 1);
    view.setUint16(at, 0xf000 | ((target >>> 11) & 0x7ff), true);
    view.setUint16(at + 2, 0xf800 | (target & 0x7ff), true);
    at += 2;
  }
  return at;
}

/** Slots of a bundle that hold a branch, as bits, by the bundle's template. */
const IA64_BRANCHES = [...new Array<number>(16).fill(0), 4, 4, 6, 6, 0, 0, 7, 7, 4, 4, 0, 0, 4, 4, 0, 0];

/** `br.call` in bundles of 16 bytes: 3 instructions of 41 bits after a template of 5. */
function ia64(bytes: Uint8Array, position: number): number {
  const end = bytes.length & ~15;
  for (let at = 0; at < end; at += 16) {
    const branches = IA64_BRANCHES[(bytes[at] ?? 0) & 0x1f] ?? 0;
    for (let slot = 0; slot < 3; slot++) {
      if (((branches >> slot) & 1) === 1) restoreIa64(bytes, at, 5 + 41 * slot, position + at);
    }
  }
  return end;
}

function restoreIa64(bytes: Uint8Array, bundle: number, firstBit: number, address: number): void {
  const at = bundle + (firstBit >> 3);
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 6);
  const shift = BigInt(firstBit & 7);
  const raw = BigInt(view.getUint32(0, true)) | (BigInt(view.getUint16(4, true)) << 32n);
  const word = raw >> shift;
  if (((word >> 37n) & 0xfn) !== 5n || ((word >> 9n) & 7n) !== 0n) return;
  const absolute = Number(((word >> 13n) & 0xfffffn) | (((word >> 36n) & 1n) << 20n));
  const target = BigInt((absolute - (address >>> 4)) & 0x1fffff);
  const without = word & ~(0x8fffffn << 13n);
  const restored = without | ((target & 0xfffffn) << 13n) | ((target >> 20n) << 36n);
  const result = (raw & ((1n << shift) - 1n)) | (restored << shift);
  view.setUint32(0, Number(result & 0xffffffffn), true);
  view.setUint16(4, Number((result >> 32n) & 0xffffn), true);
}

/** Whether a high byte of a target is one that a near call or jump has. */
function isSignByte(byte: number): boolean {
  return byte === 0 || byte === 0xff;
}

/**
 * `call` and `jmp` with 32 bits. Opcodes shortly before one may mean that it is not an opcode but
 * part of the operand of theirs; `near` has a bit for each of the last three bytes that was one.
 */
function x86Filter(): XzFilter {
  let near = 0;
  return (bytes, position) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    while (at + 5 <= bytes.length) {
      const isOpcode = ((bytes[at] ?? 0) & 0xfe) === 0xe8;
      if (!isOpcode) {
        near = (near << 1) & 7;
        at += 1;
      } else if (isX86Branch(bytes, at, near)) {
        const target = restoreX86(view.getInt32(at + 1, true), position + at + 5, near);
        view.setInt32(at + 1, target, true);
        near = 0;
        at += 5;
      } else {
        near = ((near << 1) | 1) & 7;
        at += 1;
      }
    }
    return at;
  };
}

/** Whether the operand of an opcode is an address: its high byte is a sign, and that of no overlapping one is. */
function isX86Branch(bytes: Uint8Array, at: number, near: number): boolean {
  if (!isSignByte(bytes[at + 4] ?? 1)) return false;
  if (near === 0) return true;
  const isOne = near !== 3 && near <= 4;
  return isOne && !isSignByte(bytes[at + 4 - bytesSince(near)] ?? 0);
}

function restoreX86(operand: number, address: number, near: number): number {
  let target = (operand - address) | 0;
  if (near !== 0) {
    const bits = 32 - 8 * bytesSince(near);
    // The encoder continued until no overlapping opcode had an operand that looks like an address.
    while (isSignByte((target >>> (bits - 8)) & 0xff)) target = ((target ^ ((1 << bits) - 1)) - address) | 0;
  }
  return (target << 7) >> 7;
}

/** 1, 2 or 3 bytes since the only opcode in `near`. */
function bytesSince(near: number): number {
  return near === 4 ? 3 : near;
}
