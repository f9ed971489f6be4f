// Daemon.
import { html } from '../lib/html.js';
import { t } from '../lib/words.js';

export const Daemon = () => html`<h1 tabindex="-1">${t.app.daemon}</h1>`;
