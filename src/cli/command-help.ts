import { type Command, Help, type Option } from 'commander';
import { GLOBAL_OPTIONS_HEADING } from './global-options.js';

/** Returns the groups of a help text with what every command has after what is special to one. */
export function commonGroupsLast<Item extends Command | Option>(
  unsorted: Item[],
  visible: Item[],
  getGroup: (item: Item) => string,
): Map<string, Item[]> {
  const groups = new Help().groupItems(unsorted, visible, getGroup);
  const common = groups.get(GLOBAL_OPTIONS_HEADING);
  if (common === undefined) return groups;
  groups.delete(GLOBAL_OPTIONS_HEADING);
  return groups.set(GLOBAL_OPTIONS_HEADING, common);
}
