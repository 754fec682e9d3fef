import { render } from 'preact';
import { App } from './app.js';
import { answerInWorker, sourceOfDocument } from './engine.js';

// The same script is the worker's: a document of one file has no other place for it.
if (typeof document === 'undefined') {
  answerInWorker();
} else {
  const script = document.currentScript?.textContent ?? '';
  const root = document.getElementById('page');
  if (root !== null) render(<App source={sourceOfDocument()} script={script} />, root);
}
