// The one place that names the library: Preact with htm, one module without a build step. `html` makes DOM nodes, never
// markup, so what a process prints cannot become a tag.
export {
  html, render, Component, useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback,
} from '../vendor/htm.js';
