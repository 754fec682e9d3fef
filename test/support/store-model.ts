import { idNamed, imageConfig } from './image-configs.js';
import type { Operation } from './store-operations.js';

interface ModelImage {
  parent: string | undefined;
  readonly metadata: Map<string, string>;
}

/** What a store must answer, kept in the plainest way there is. */
export class StoreModel {
  readonly images = new Map<string, ModelImage>();
  readonly names = new Map<string, string>();
  /** Images whose config is there, also when they are deleted, and those whose config was erased. */
  readonly kept = new Set<string>();
  readonly erased = new Set<string>();

  apply(operation: Operation): unknown {
    if (operation.op === 'untag') return this.names.delete(operation.name) ? 'done' : 'REFERENCE_NOT_FOUND';
    if (operation.op === 'prune') return this.#prune();
    const { image } = operation;
    if (operation.op === 'erase') return this.#eraseOne(image);
    if (operation.op === 'create') {
      this.kept.add(image);
      this.erased.delete(image);
      if (!this.images.has(image)) this.images.set(image, { parent: undefined, metadata: new Map() });
      return idNamed(image);
    }
    if (operation.op === 'setParent' && !this.images.has(operation.parent)) return 'PARENT_NOT_FOUND';
    const entry = this.images.get(image);
    if (entry === undefined) return 'IMAGE_NOT_FOUND';
    return this.#applyTo(entry, operation);
  }

  state(): Record<string, unknown> {
    const names = [...this.images.keys()].sort((a, b) => (idNamed(a) < idNamed(b) ? -1 : 1));
    const ids = names.map(idNamed);
    return {
      images: Object.fromEntries(names.map((name) => [idNamed(name), this.#imageState(name)])),
      heads: names.filter((name) => this.#childrenOf(name).length === 0).map(idNamed),
      len: ids.length,
      references: [...this.names.keys()]
        .sort()
        .map((reference) => ({ reference, image: idNamed(this.names.get(reference) ?? ''), target: undefined })),
      layers: [],
      erased: [...this.erased].map(idNamed).sort(),
      walked: ids,
    };
  }

  #applyTo(entry: ModelImage, operation: Exclude<Operation, { op: 'untag' | 'create' | 'erase' | 'prune' }>): unknown {
    switch (operation.op) {
      case 'delete':
        this.#delete(operation.image);
        return [];
      case 'setBuiltLocally':
        entry.metadata.set('builtLocally', '\u0001');
        return 'done';
      case 'setParent':
        if (this.#lineOf(operation.parent).includes(operation.image)) return 'PARENT_CYCLE';
        entry.parent = operation.parent;
        return 'done';
      case 'setMetadata':
        entry.metadata.set(operation.key, operation.value);
        return 'done';
      case 'deleteMetadata':
        return entry.metadata.delete(operation.key) ? 'done' : 'METADATA_NOT_FOUND';
      case 'tag': {
        const before = this.names.get(operation.name) ?? operation.image;
        if (!operation.overwrite && before !== operation.image) return 'REFERENCE_EXISTS';
        this.names.set(operation.name, operation.image);
        return 'done';
      }
    }
  }

  #eraseOne(image: string): unknown {
    if (this.images.has(image)) return 'CONTENT_IN_USE';
    if (this.erased.has(image)) return 'CONTENT_ERASED';
    if (!this.kept.delete(image)) return 'CONTENT_NOT_FOUND';
    this.erased.add(image);
    return imageConfig(image).length;
  }

  #prune(): string[] {
    const pruned = [...this.kept].filter((image) => !this.images.has(image));
    for (const image of pruned) this.#eraseOne(image);
    return pruned.map(idNamed).sort();
  }

  #delete(image: string): void {
    this.images.delete(image);
    for (const entry of this.images.values()) if (entry.parent === image) entry.parent = undefined;
    for (const [name, tagged] of this.names) if (tagged === image) this.names.delete(name);
  }

  #lineOf(image: string): string[] {
    const parent = this.images.get(image)?.parent;
    return parent === undefined ? [image] : [image, ...this.#lineOf(parent)];
  }

  #childrenOf(image: string): string[] {
    return [...this.images].filter(([, { parent }]) => parent === image).map(([name]) => name);
  }

  #imageState(image: string): unknown {
    const { parent, metadata } = this.images.get(image) as ModelImage;
    return {
      config: Buffer.from(imageConfig(image)).toString(),
      parent: parent === undefined ? '' : idNamed(parent),
      children: this.#childrenOf(image).map(idNamed).sort(),
      references: [...this.names]
        .filter(([, tagged]) => tagged === image)
        .map(([name]) => name)
        .sort(),
      metadata: Object.fromEntries([...metadata].sort()),
      builtLocally: metadata.has('builtLocally'),
      found: idNamed(image),
    };
  }
}
