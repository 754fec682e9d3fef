export { createExporter, type Exporter } from './store/exporter.js';
export { newFSStoreBackend } from './store/fs-backend.js';
export { type ImageStoreOptions, newImageStore } from './store/new-image-store.js';
export { openStore } from './store/open-store.js';
