// Figures over time: a sparkline of some dozen points as SVG, and uPlot for what one studies. uPlot is fetched when the
// first chart is drawn, because most pages show none.
import { html, useEffect, useRef } from '../lib/html.js';
import { moment } from '../lib/format.js';
import { t } from '../lib/words.js';

/** points: numbers, the newest last, drawn from 0 to the largest or to `ceiling`. The newest stands beside it in figures. */
export function Spark({ points, ceiling = 0 }) {
  if (points.length < 2) return html`<svg class="spark" viewBox="0 0 60 16" aria-hidden="true"></svg>`;
  const top = Math.max(ceiling, ...points) || 1;
  const step = 60 / Math.max(11, points.length - 1);
  const x = (i) => (60 - (points.length - 1 - i) * step).toFixed(1);
  const y = (value) => (15 - (value / top) * 14).toFixed(1);
  const line = points.map((value, i) => `${x(i)},${y(value)}`).join(' ');
  return html`<svg class="spark" viewBox="0 0 60 16" preserveAspectRatio="none" aria-hidden="true">
    <polygon points=${`${x(0)},16 ${line} 60,16`} /><polyline points=${line} /></svg>`;
}

/** Its rules first; the browser keeps both, so asking again costs nothing. */
async function library() {
  if (!document.querySelector('link[href="/web/vendor/uplot.css"]')) {
    await new Promise((resolve, reject) => {
      const rules = document.createElement('link');
      Object.assign(rules, { rel: 'stylesheet', href: '/web/vendor/uplot.css', onload: resolve, onerror: reject });
      document.head.prepend(rules);
    });
  }
  return (await import('../vendor/uplot.js')).default;
}

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A colour of the theme as canvas understands it: light-dark() is resolved by an element that wears it. */
function colour(name) {
  const probe = document.createElement('i');
  probe.className = 'probe';
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

const axis = (format, side) => ({
  stroke: colour('--soft'), font: `11px ${token('--sans')}`, grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false },
  size: side ? 64 : 28, space: side ? 30 : 90, values: (_, values) => values.map(format),
});

const line = (one, alone, format) => ({
  label: one.label, stroke: colour(one.tone), fill: alone ? colour(`${one.tone}-wash`) : undefined, width: 1.5, points: { show: false },
  value: (_, value) => value === null ? '–' : format(value),
});

const time = (at) => at === null ? '' : moment(at * 1000);

const options = ({ series, format, floor, height, width }) => ({
  width, height, legend: { show: true, live: true }, cursor: { y: false, points: { size: 5 } },
  scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.1, floor)] } },
  axes: [axis(time, false), axis(format, true)],
  series: [{ label: t.common.time, value: (_, at) => time(at) }, ...series.map((one) => line(one, series.length === 1, format))],
});

/**
 * data: [seconds[], values[], …] as uPlot has it; series: [{ label, tone }] with tone one of the CSS tokens ('--accent').
 * The axis reaches from 0 to `floor` at least. The canvas means nothing to a screen reader: `label` says the newest value.
 */
export function Chart({ data, series, format, label, floor = 1e-3, height = 160 }) {
  const box = useRef(null);
  const plot = useRef(null);
  const newest = useRef(data);
  newest.current = data;
  useEffect(() => {
    let gone = false;
    const make = async () => {
      const uPlot = await library();
      if (gone) return;
      plot.current?.destroy();
      plot.current = new uPlot(options({ series, format, floor, height, width: box.current.clientWidth }), newest.current, box.current);
    };
    const resized = new ResizeObserver(([{ contentRect }]) => plot.current?.setSize({ width: contentRect.width, height }));
    resized.observe(box.current);
    addEventListener('themechange', make);
    make();
    return () => {
      gone = true;
      removeEventListener('themechange', make);
      resized.disconnect();
      plot.current?.destroy();
    };
  }, []);
  useEffect(() => { plot.current?.setData(data); }, [data]);
  return html`<figure class="chart" aria-label=${label}><div ref=${box}></div></figure>`;
}
