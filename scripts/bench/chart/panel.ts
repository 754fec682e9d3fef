/** A part of a drawing: SVG relative to its upper left corner, and its height in pixels. */
export interface Panel {
  readonly height: number;
  readonly content: readonly string[];
}
