import { callLines } from './call-lines.js';
import { type Stage, STAGE_COLUMNS } from './stage.js';

const PROMPT_COLUMNS = '> '.length;

/** Wraps `target` so that each method call is shown on the stage as `name` before it is made. */
export function narrated<Target extends object>(target: Target, name: string, stage: Stage): Target {
  return new Proxy(target, {
    get: (_, key) => {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        stage.call(callLines(`${name}.${String(key)}`, args, STAGE_COLUMNS - PROMPT_COLUMNS));
        // `this` must be the target: a proxy lacks its private fields.
        return Reflect.apply(member, target, args);
      };
    },
  });
}
