import type { ImageId } from '../../model/digest.js';
import type { ReferencePeriod } from '../query/reference-periods.js';
import type { Colors, Paint } from './colors.js';
import { shortId } from './short-id.js';

/** How one period in the life of a reference looks, wherever it is drawn. */
export interface PeriodLook {
  readonly name: string;
  /** One column that fills its part of a strip, so that periods are told apart without colours too. */
  readonly fill: string;
  readonly paint: Paint;
}

const CURRENT_FILL = '█';
const OTHER_FILLS = ['▓', '░', '▒'] as const;
const GAP_FILL = '·';

/**
 * Returns how each of `periods` looks, in their order: an image looks the same each time, so that a return to it is seen.
 * The image that it stands for at the end is the full one; of the others, no new one looks as its neighbour does.
 */
export function periodLooks(periods: readonly ReferencePeriod[], colors: Colors): PeriodLook[] {
  const gap: PeriodLook = { name: 'removed', fill: GAP_FILL, paint: colors.dim };
  const others = [colors.yellow, colors.magenta, colors.cyan].map((paint, at) => ({
    paint,
    fill: OTHER_FILLS[at] ?? '',
  }));
  const looks = new Map<ImageId, PeriodLook>();
  const current = periods.at(-1)?.image;
  if (current !== undefined) looks.set(current, { name: shortId(current), fill: CURRENT_FILL, paint: colors.green });
  let next = 0;
  let before: PeriodLook | undefined;
  return periods.map(({ image }) => {
    if (image === undefined) return gap;
    const known = looks.get(image);
    if (known !== undefined) {
      before = known;
      return known;
    }
    if (others[next % others.length]?.fill === before?.fill) next += 1;
    const style = others[next++ % others.length] ?? gap;
    const look = { ...style, name: shortId(image) };
    looks.set(image, look);
    before = look;
    return look;
  });
}
