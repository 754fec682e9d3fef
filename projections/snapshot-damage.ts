/** Thrown for bytes that are no snapshot, or not all of one. A snapshot is disposable: whoever catches this does without. */
export class SnapshotDamage extends Error {
  override readonly name = 'SnapshotDamage';
}
