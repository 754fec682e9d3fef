/** Thrown for bytes that are not as LevelDB wrote them; `level` gives its own errors of damage the same code. */
export class LevelDamage extends Error {
  readonly code = 'LEVEL_CORRUPTION';
}
