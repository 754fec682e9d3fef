import { contextFor, type Declaration, declareCommand } from './declaration.js';

/** Declares `rebuild`. */
export function addRebuild(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'rebuild',
    group: 'Upkeep:',
    summary: 'make anew all that follows from the events',
    about:
      'Subject index, Merkle tree, snapshots and checkpoint are written again from the events. Where LevelDB lost its own files, ' +
      'each event is read from what is left of them and checked, and the damaged log is put aside as log.damaged-N: remove that folder when nobody needs it, for nothing is erased while it is there. When an event is ' +
      'lost for good, nothing is changed. Nobody else may have the store open.',
    kind: 'signs',
    examples: [
      ['imagelog rebuild', 'repair the store'],
      ['imagelog rebuild --json', 'the same, told to a script'],
    ],
  });
  command.action(() => declaration.actions.rebuild(contextFor(declaration, command)));
}
