// Small charts: bars by day, and a bar of parts.

import { date, h, number, s } from "./dom.js";
import { STATES } from "./states.js";
import { DAY } from "./windows.js";

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

/** A bar for each of the last days; ``days`` is a list of [day in ms, value]. */
export function daily(label, days, now, length) {
  const [width, height, base] = [620, 96, 78];
  const last = Math.floor(now / DAY) * DAY;
  const first = last - (length - 1) * DAY;
  const most = Math.max(...days.map(([, value]) => value), 0);
  const total = days.reduce((sum, [, value]) => sum + value, 0);
  const step = width / length;
  const bars = days.filter(([ms, value]) => value > 0 && ms >= first).map(([ms, value]) => {
    const tall = Math.max(2, (value / most) * (base - 16));
    const x = ((ms - first) / DAY) * step;
    return s("rect", { x, y: base - tall, width: Math.max(step - 1.5, 2), height: tall, rx: 1.5, class: "bar" },
      s("title", null, `${date(ms)}: ${number(value)} rows`));
  });
  const marks = Array.from({ length }, (_, i) => first + i * DAY).filter((ms) => new Date(ms).getUTCDate() === 1);
  const summary = `${label}: ${number(total)} rows in ${length} days, at most ${number(most)} on one day`;
  return h("figure", null, h("figcaption", null, label, h("b", null, number(total))),
    s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": summary, class: "daily" },
      s("line", { x1: 0, x2: width, y1: base + 0.5, y2: base + 0.5 }),
      most > 0 && s("text", { x: 0, y: 10 }, `${number(most)} on one day`),
      marks.map((ms) => s("text", { x: ((ms - first) / DAY) * step, y: height - 3 }, date(ms))), bars));
}
