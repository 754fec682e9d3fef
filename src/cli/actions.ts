import type { When } from '../store/past/audit.js';
import type {
  CheckProofFlags,
  EraseFlags,
  ImagesFlags,
  KeyFlags,
  LoadFlags,
  LogFlags,
  ProveFlags,
  PruneFlags,
  RestoreFlags,
  SaveFlags,
  VerifyFlags,
} from './command-flags.js';
import type { CommandContext } from './context.js';

/** What each command does once its words are parsed. Every action writes its answer or throws. */
export interface Actions {
  load(context: CommandContext, files: readonly string[], flags: LoadFlags): Promise<void>;
  save(context: CommandContext, names: readonly string[], flags: SaveFlags): Promise<void>;
  images(context: CommandContext, flags: ImagesFlags): Promise<void>;
  inspect(context: CommandContext, names: readonly string[]): Promise<void>;
  history(context: CommandContext, name: string): Promise<void>;
  tag(
    context: CommandContext,
    source: string,
    reference: string,
    flags: { readonly overwrite: boolean },
  ): Promise<void>;
  untag(context: CommandContext, reference: string): Promise<void>;
  rm(context: CommandContext, names: readonly string[], flags: { readonly force?: boolean }): Promise<void>;
  log(context: CommandContext, flags: LogFlags): Promise<void>;
  resolve(context: CommandContext, reference: string, flags: { readonly platform?: string }): Promise<void>;
  refs(context: CommandContext, reference: string): Promise<void>;
  diff(context: CommandContext, from: When, to: When): Promise<void>;
  consumers(context: CommandContext): Promise<void>;
  'consumers reset'(context: CommandContext, name: string, flags: { readonly to?: When }): Promise<void>;
  'consumers rm'(context: CommandContext, name: string): Promise<void>;
  stats(context: CommandContext): Promise<void>;
  backup(context: CommandContext, directory: string): Promise<void>;
  restore(context: CommandContext, directory: string, flags: RestoreFlags): Promise<void>;
  rebuild(context: CommandContext): Promise<void>;
  key(context: CommandContext, file: string, flags: KeyFlags): Promise<void>;
  checkpoint(context: CommandContext): Promise<void>;
  prove(context: CommandContext, seq: number, flags: ProveFlags): Promise<void>;
  'check-proof'(context: CommandContext, file: string, flags: CheckProofFlags): Promise<void>;
  erase(context: CommandContext, digest: string, flags: EraseFlags): Promise<void>;
  prune(context: CommandContext, flags: PruneFlags): Promise<void>;
  verify(context: CommandContext, directory: string | undefined, flags: VerifyFlags): Promise<void>;
}

/** The actions, each loaded when it is first asked for: help and usage errors wait for no database. */
export const lazyActions: Actions = {
  load: async (...args) => (await import('./actions/load.js')).load(...args),
  save: async (...args) => (await import('./actions/save.js')).save(...args),
  images: async (...args) => (await import('./actions/images.js')).images(...args),
  inspect: async (...args) => (await import('./actions/inspect.js')).inspect(...args),
  history: async (...args) => (await import('./actions/history.js')).history(...args),
  tag: async (...args) => (await import('./actions/tag.js')).tag(...args),
  untag: async (...args) => (await import('./actions/untag.js')).untag(...args),
  rm: async (...args) => (await import('./actions/rm.js')).rm(...args),
  log: async (...args) => (await import('./actions/log.js')).log(...args),
  resolve: async (...args) => (await import('./actions/resolve.js')).resolve(...args),
  refs: async (...args) => (await import('./actions/refs.js')).refs(...args),
  diff: async (...args) => (await import('./actions/diff.js')).diff(...args),
  consumers: async (...args) => (await import('./actions/consumers.js')).consumers(...args),
  'consumers reset': async (...args) => (await import('./actions/consumers.js')).resetConsumer(...args),
  'consumers rm': async (...args) => (await import('./actions/consumers.js')).removeConsumer(...args),
  backup: async (...args) => (await import('./actions/backup.js')).backup(...args),
  restore: async (...args) => (await import('./actions/restore.js')).restore(...args),
  stats: async (...args) => (await import('./actions/stats.js')).stats(...args),
  rebuild: async (...args) => (await import('./actions/rebuild.js')).rebuild(...args),
  key: async (...args) => (await import('./actions/key.js')).key(...args),
  checkpoint: async (...args) => (await import('./actions/checkpoint.js')).checkpoint(...args),
  prove: async (...args) => (await import('./actions/prove.js')).prove(...args),
  'check-proof': async (...args) => (await import('./actions/check-proof.js')).checkProofFile(...args),
  erase: async (...args) => (await import('./actions/erase.js')).erase(...args),
  prune: async (...args) => (await import('./actions/prune.js')).prune(...args),
  verify: async (...args) => (await import('./actions/verify.js')).verify(...args),
};
