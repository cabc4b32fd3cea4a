// Windows out of the server's answer: their bounds, and by which unit of the calendar they are drawn.

import { date, moment } from "./dom.js";

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

const NAME = /^([^]*):(\d{4}-\d\d-\d\dT[^/]*)\/([^/]*)$/;

const atMidnight = (ms) => ms % DAY === 0;
const firstOfMonth = (ms) => atMidnight(ms) && new Date(ms).getUTCDate() === 1;

function unit(start, end) {
  const length = end - start;
  if (length === HOUR && start % HOUR === 0) return "hour";
  if (!atMidnight(start) || !atMidnight(end)) return "range";
  if (length === DAY) return "day";
  if (length === 7 * DAY) return "week";
  if (!firstOfMonth(start) || !firstOfMonth(end)) return "range";
  const [from, to] = [new Date(start), new Date(end)];
  const months = (to.getUTCFullYear() - from.getUTCFullYear()) * 12 + to.getUTCMonth() - from.getUTCMonth();
  return months === 1 ? "month" : "range";
}

/** Column, unit, bounds and title of a window by its name in the ledger; ``end`` is exclusive. A whole table has no bounds. */
export function bounds(name) {
  const match = NAME.exec(name);
  if (!match) return { column: "", start: null, end: null, unit: "range", title: name === "all" ? "Whole table" : name };
  const [start, end] = [Date.parse(match[2]), Date.parse(match[3])];
  const by = unit(start, end);
  return { column: match[1], start, end, unit: by, title: title(start, end, by) };
}

/** The windows of an answer as objects, by time. */
export function parsed({ columns, windows }) {
  return windows
    .map((values) => {
      const found = Object.fromEntries(columns.map((name, i) => [name, values[i]]));
      return { ...found, ...bounds(found.window) };
    })
    .sort((one, other) => (one.start ?? -Infinity) - (other.start ?? -Infinity));
}

function title(start, end, by) {
  if (by === "day") return date(start);
  if (by === "month") return date(start).slice(0, 7);
  if (atMidnight(start) && atMidnight(end)) return `${date(start)} – ${date(end - DAY)}`;
  return `${moment(start)} – ${moment(end)}`;
}

/** The windows' groups, one per time column and unit: what is drawn as one calendar. */
export function groups(windows) {
  const found = new Map();
  for (const each of windows) {
    const key = `${each.column}:${each.unit}`;
    if (!found.has(key)) found.set(key, { column: each.column, unit: each.unit, windows: [] });
    found.get(key).windows.push(each);
  }
  const order = ["day", "week", "month", "hour", "range"];
  return [...found.values()].sort((one, other) => order.indexOf(one.unit) - order.indexOf(other.unit));
}
