/** How the peer called Docker's works. */
export const DOCKER_SETTINGS =
  "the system calls of dockerd's image store: temporary file, write, fsync of it, close, chmod, rename, no sync of the " +
  'directory; a get reads and checks the config twice and looks for a parent; one request at a time, for its mutex';

/** How our own backend for the same files works. */
export const OUR_FILES_SETTINGS =
  'our image store over newFSStoreBackend: the directory is synced too; a get reads and checks the config once';
