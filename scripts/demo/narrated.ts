import { callLines } from './call-lines.js';
import { type Stage, STAGE_COLUMNS } from './stage.js';

const PROMPT_COLUMNS = '> '.length;

/**
 * Returns `target`, each call of whose methods is shown on the stage under `name` before it is made: what the audience
 * reads is what was called.
 */
export function narrated<Target extends object>(target: Target, name: string, stage: Stage): Target {
  return new Proxy(target, {
    get: (_, key) => {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        stage.call(callLines(`${name}.${String(key)}`, args, STAGE_COLUMNS - PROMPT_COLUMNS));
        // The target itself as `this`: its private fields are not the proxy's.
        return Reflect.apply(member, target, args);
      };
    },
  });
}
