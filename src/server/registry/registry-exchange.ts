import type { Context } from 'hono';
import type { RegistryReads } from '../../store/registry-store.js';
import type { ServerEnv } from '../exchange.js';
import type { Service } from '../service.js';
import type { RegistryPath } from './paths.js';

/** A request to the registry. */
export interface RegistryExchange {
  readonly c: Context<ServerEnv>;
  readonly service: Service;
  readonly path: RegistryPath;
  /** The repositories of the moment that the path names. */
  readonly reads: RegistryReads;
  /** Whether that moment is over: there is no upstream, and nothing changes. */
  readonly isPast: boolean;
}
