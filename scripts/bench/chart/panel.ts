/** A part of a drawing: SVG that begins at its upper left corner, and how tall it is, pixels. */
export interface Panel {
  readonly height: number;
  readonly content: readonly string[];
}
