import * as crypto from 'node:crypto';
import type { Sha256 } from '../../model/digest.js';

/**
 * SHA-256 by Node, about nine times as fast as the portable one on large inputs. The one-shot call
 * (Node 20.12) saves a third on an event record.
 */
export const nodeSha256: Sha256 = (bytes) => crypto.hash('sha256', bytes, 'buffer');
