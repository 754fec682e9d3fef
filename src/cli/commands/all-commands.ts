import { addArchiveCommands } from './archives.js';
import { addBackupCommands } from './backups.js';
import { addConsumerCommands } from './consumers.js';
import type { Declaration } from './declaration.js';
import { addDiff } from './diff.js';
import { addEvidenceCommands } from './evidence.js';
import { addErasingCommands } from './erasing.js';
import { addImageCommands } from './images.js';
import { addLogCommands } from './log.js';
import { addRebuild } from './rebuild.js';
import { addReferenceCommands } from './references.js';
import { addVerify } from './verify.js';

/** Declares every command that works on one store at one point in time, in the order of the help. */
export function addAllCommands(declaration: Declaration): void {
  addArchiveCommands(declaration);
  addImageCommands(declaration);
  addReferenceCommands(declaration);
  addLogCommands(declaration);
  addConsumerCommands(declaration);
  addEvidenceCommands(declaration);
  addVerify(declaration);
  addBackupCommands(declaration);
  addErasingCommands(declaration);
  addRebuild(declaration);
  addDiff(declaration);
}
