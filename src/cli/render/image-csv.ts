import type { ArtifactFacts } from '../artifact-facts.js';
import type { ImageFacts } from '../image-facts.js';
import { csvRow } from './csv.js';

/** Columns of `images --format csv`: facts of one value; lists are separated by spaces. */
const COLUMNS = [
  'kind',
  'id',
  'references',
  'os',
  'architecture',
  'variant',
  'size',
  'created',
  'parent',
  'head',
  'chainId',
  'layers',
  'artifactType',
  'subject',
] as const;

type Cells = Partial<Record<(typeof COLUMNS)[number], string | number | null | undefined>>;

/** Returns a header, a row for each image and one for each artifact; sizes in bytes, times in UTC. */
export function imageCsvLines(images: readonly ImageFacts[], artifacts: readonly ArtifactFacts[]): string[] {
  return [
    csvRow(COLUMNS),
    ...images.map(({ references, layers, head, ...facts }) =>
      rowOf({
        kind: 'image',
        ...facts,
        references: references.join(' '),
        layers: layers.join(' '),
        head: String(head),
      }),
    ),
    ...artifacts.map(({ digest, totalSize, kind, artifactType, subject, references }) =>
      rowOf({ kind, id: digest, references: references.join(' '), size: totalSize, artifactType, subject }),
    ),
  ];
}

function rowOf(cells: Cells): string {
  return csvRow(COLUMNS.map((name) => cells[name] ?? undefined));
}
