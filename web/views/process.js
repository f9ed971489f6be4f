// One process.
import { html } from '../lib/html.js';

export const Process = ({ id }) => html`<h1 tabindex="-1">${id}</h1>`;
