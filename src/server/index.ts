/**
 * imagelog/server: an image store over HTTP.
 *
 * @packageDocumentation
 */

export { createServer, type StoreServer } from './create-server.js';
export type { ServerLimits, ServerOptions } from './service.js';
export { accessFrom } from './access/access-from.js';
export type { Access } from './access/access.js';
export type { AccessOptions } from './access/options.js';
export { type ServeOptions, serveStore, type Serving } from './service/serve-store.js';
export type { RequestReport } from './service/access-log.js';
export type { MirrorRule } from './mirror/rules.js';
export type { WebhookOptions } from './feed/webhook-options.js';
