import type { Algorithm } from './content.js';
import type { RegistryClient } from './registry-client.js';

/** What a registry may lack by the specification. A case that needs it then ends as unsupported. */
export type Capability =
  | 'blob-delete'
  | 'manifest-delete'
  | 'tag-delete'
  | 'single-post'
  | 'mount'
  | 'anonymous-mount'
  | 'cancel'
  | 'range'
  | 'referrers'
  | 'referrers-filter'
  | 'tag-parameter'
  | 'sha512';

/** One requirement of the distribution specification, and how it is checked. */
export interface Case {
  /** Cases of a group are run in order: later ones use what earlier ones stored. */
  readonly group: string;
  /** What is required. */
  readonly name: string;
  /** The heading of spec.md that requires it. */
  readonly section: string;
  readonly needs: readonly Capability[];
  /** Whether the official conformance program asks it too, or the text of the specification alone. */
  readonly origin: 'program' | 'text';
  /** @throws {Unmet} or {Unsupported} */
  run(client: RegistryClient): Promise<void>;
}

/** How the cases are made. */
export interface CaseOptions {
  /** Where content goes; need not exist before. */
  readonly repository: string;
  /** From where blobs are mounted. */
  readonly other: string;
  /** Whether the registry takes sha512 digests, or must refuse them plainly. */
  readonly sha512: 'accepted' | 'refused';
}

/** A repository of the registry that is asked. */
export interface Place {
  readonly client: RegistryClient;
  readonly repository: string;
}

/** Adds cases to one group. */
export class Group {
  readonly cases: Case[] = [];
  readonly #name: string;
  readonly #needs: readonly Capability[];

  constructor(name: string, needs: readonly Capability[] = []) {
    this.#name = name;
    this.#needs = needs;
  }

  /** Adds a case that the official program has too. */
  add(section: string, name: string, run: Case['run'], needs: readonly Capability[] = []): void {
    this.#push({ section, name, run, needs, origin: 'program' });
  }

  /** Adds a case that only the text of the specification has. */
  addFromText(section: string, name: string, run: Case['run'], needs: readonly Capability[] = []): void {
    this.#push({ section, name, run, needs, origin: 'text' });
  }

  #push({ needs, ...rest }: Omit<Case, 'group'>): void {
    this.cases.push({ group: this.#name, needs: [...this.#needs, ...needs], ...rest });
  }
}

/** What a group about digests of one algorithm needs. */
export function needsOf(algorithm: Algorithm): readonly Capability[] {
  return algorithm === 'sha512' ? ['sha512'] : [];
}
