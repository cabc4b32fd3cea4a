// Small charts: bars by day and by hour, and a bar of parts.

import { date, h, moment, number, s } from "./dom.js";
import { STATES } from "./states.js";
import { DAY, HOUR } from "./windows.js";

/** Windows by state in one line. */
export function parts(states) {
  const total = Object.values(states).reduce((sum, count) => sum + count, 0);
  const shown = STATES.filter(({ name }) => states[name]);
  const words = shown.map(({ name, label }) => `${number(states[name])} ${label.toLowerCase()}`).join(", ");
  const bar = h("span", { class: "parts", role: "img", "aria-label": words, title: words });
  for (const { name } of shown) {
    const part = h("i", { class: "swatch", "data-state": name });
    part.style.flexGrow = String(Math.max(states[name] / total, 0.02));
    bar.append(part);
  }
  return bar;
}

const [WIDTH, HEIGHT, BASE] = [620, 96, 78];

/**
 * A bar for each of the last days or hours; ``points`` is a list of [begin in ms, value, part], where the part is a bar within
 * the bar; ``told`` puts a point into words.
 */
function bars({ label, sum, summary, most, points, now, length, step, mark, named, told }) {
  const last = Math.floor(now / step) * step;
  const first = last - (length - 1) * step;
  const highest = Math.max(...points.map(([, value]) => value), 0);
  const wide = WIDTH / length;
  const place = (ms) => ((ms - first) / step) * wide;
  const tall = (value) => Math.max(2, (value / highest) * (BASE - 16));
  const bar = (ms, value, kind, ...inside) => s("rect", { x: place(ms), y: BASE - tall(value), width: Math.max(wide - 1.5, 2),
    height: tall(value), rx: 1.5, class: kind }, ...inside);
  const drawn = points.filter(([ms, value]) => value > 0 && ms >= first).map((point) => s("g", null,
    s("title", null, told(point)), bar(point[0], point[1], "bar"), point[2] > 0 && bar(point[0], point[2], "part")));
  const marks = Array.from({ length }, (_, i) => first + i * step).filter((ms) => mark(ms) && place(ms) < WIDTH - 30);
  return h("figure", null, h("figcaption", null, label, h("b", null, sum)),
    s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": summary, class: "bars" },
      s("line", { x1: 0, x2: WIDTH, y1: BASE + 0.5, y2: BASE + 0.5 }),
      highest > 0 && s("text", { x: 0, y: 10 }, most(highest)),
      marks.map((ms) => s("text", { x: place(ms), y: HEIGHT - 3 }, named(ms))), drawn));
}

const sumOf = (points) => points.reduce((sum, [, value]) => sum + value, 0);

/** Rows of each of the last days. */
export function daily(label, points, now, length) {
  const sum = number(sumOf(points));
  return bars({
    label, sum, points, now, length, step: DAY, named: date, mark: (ms) => new Date(ms).getUTCDate() === 1,
    summary: `${label}: ${sum} rows in ${length} days`, most: (value) => `${number(value)} on one day`,
    told: ([ms, value]) => `${date(ms)}: ${number(value)} rows`,
  });
}

const midnights = { step: HOUR, mark: (ms) => ms % DAY === 0, named: (ms) => date(ms).slice(5) };
const hour = (ms) => `${moment(ms).slice(0, 16)} UTC`;

/** Records drained in each of the last hours. */
export function throughput(points, now, length, fastest) {
  const sum = `${number(sumOf(points))} records`;
  return bars({
    ...midnights, label: "Throughput, records per hour", sum, points, now, length,
    summary: `Throughput: ${sum} in ${length} hours, at most ${number(fastest)} records a second in one drain`,
    most: (value) => `${number(value)} in one hour; fastest drain ${number(fastest)} records/s`,
    told: ([ms, value]) => `${hour(ms)}: ${number(value)} records`,
  });
}

/** Records that waited in each of the last hours, and what was left of them. */
export function lag(points, now, length) {
  const left = points.length ? points.at(-1)[2] : 0;
  return bars({
    ...midnights, label: "Lag, records", sum: `${number(left)} left`, points, now, length,
    summary: `Lag: ${number(left)} records left by the last drain`, most: (value) => `at most ${number(value)} waiting`,
    told: ([ms, value, part]) => `${hour(ms)}: ${number(value)} records waiting, ${number(part)} left`,
  });
}
