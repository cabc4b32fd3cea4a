// The windows of a table as calendars: a year of days, weeks, months, or hours; ranges of other lengths as labels.

import { counted, date, h, s } from "./dom.js";
import { STATE, STATES } from "./states.js";
import { DAY, groups } from "./windows.js";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const HATCHED = ["purged_in_part", "sealed_in_part", "differs", "rejected"];
const UNITS = { day: "day", week: "week", month: "month", hour: "hour" };
const LEFT = 78;
const TOP = 18;

const year = (ms) => new Date(ms).getUTCFullYear();
const newYear = (of) => Date.UTC(of, 0, 1);
const weekday = (ms) => (new Date(ms).getUTCDay() + 6) % 7;
const dayOfYear = (ms) => Math.round((ms - newYear(year(ms))) / DAY);
const week = (ms) => Math.floor((dayOfYear(ms) + weekday(newYear(year(ms)))) / 7);

/** How each unit is laid out: the row of blocks that a window is in, its cell in there, and what the columns are. */
const LAYOUTS = {
  day: {
    width: 11, height: 11, columns: 54, rows: 7, row: (ms) => String(year(ms)), cell: (ms) => [week(ms), weekday(ms)],
    heads: (label) => MONTHS.map((name, i) => [week(Date.UTC(Number(label), i, 7)), name]),
    sides: [[0, "Mon"], [2, "Wed"], [4, "Fri"]],
    all: (label) => {
      const [from, to] = [newYear(Number(label)), newYear(Number(label) + 1)];
      return Array.from({ length: Math.round((to - from) / DAY) }, (_, i) => from + i * DAY);
    },
  },
  week: {
    width: 11, height: 16, columns: 53, rows: 1, row: (ms) => String(year(ms)), cell: (ms) => [Math.floor(dayOfYear(ms) / 7), 0],
    heads: () => MONTHS.map((name, i) => [Math.floor(dayOfYear(Date.UTC(2001, i, 1)) / 7), name]),
  },
  month: {
    width: 48, height: 18, columns: 12, rows: 1, row: (ms) => String(year(ms)), cell: (ms) => [new Date(ms).getUTCMonth(), 0],
    heads: () => MONTHS.map((name, i) => [i, name]),
  },
  hour: {
    width: 22, height: 12, columns: 24, rows: 1, row: date, cell: (ms) => [new Date(ms).getUTCHours(), 0],
    heads: () => [0, 6, 12, 18].map((hour) => [hour, `${String(hour).padStart(2, "0")}:00`]),
  },
};

/** What a reader hears of a cell. */
function spoken(window) {
  const left = window.remaining ? `, ${counted(window.remaining, "row")} at the source` : "";
  const purged = window.purged ? `, ${counted(window.purged, "row")} purged` : "";
  const restored = window.restored ? `, ${counted(window.restored, "row")} restored` : "";
  return `${window.title}: ${STATE[window.state].label}${left}${purged}${restored}`;
}

/** Draws calendars; ``choose(window)`` is called for a cell that was clicked or entered. */
export class Calendar {
  constructor(windows, choose) {
    this.windows = windows;
    this.choose = choose;
    this.cells = new Map();
    this.tip = h("div", { class: "tip", "aria-hidden": "true", hidden: true });
    this.shown = new Set();
    this.node = h("div", { class: "calendars" }, this.legend(), groups(windows).map((group) => this.group(group)), this.tip);
    this.reach(windows.findLast((window) => window.of_run) ?? windows.at(-1));
    for (const [type, listen] of [["click", this.clicked], ["keydown", this.pressed], ["mouseover", this.over],
      ["mouseout", this.out], ["focusin", this.over], ["focusout", this.out]]) {
      this.node.addEventListener(type, listen.bind(this));
    }
  }

  legend() {
    const numbers = new Map();
    for (const { state } of this.windows) numbers.set(state, (numbers.get(state) ?? 0) + 1);
    const toggle = (name, button) => {
      const on = !this.shown.delete(name) && this.shown.add(name);
      button.setAttribute("aria-pressed", String(Boolean(on)));
      for (const [window, cell] of this.cells) {
        cell.classList.toggle("dim", this.shown.size > 0 && !this.shown.has(window.state));
      }
    };
    const buttons = STATES.filter(({ name }) => numbers.has(name)).map(({ name, label, meaning }) => {
      const button = h("button", { type: "button", "aria-pressed": "false", title: meaning, onclick: () => toggle(name, button) },
        h("i", { class: "swatch", "data-state": name }), label, h("b", null, String(numbers.get(name))));
      return button;
    });
    return h("div", { class: "legend", role: "group", "aria-label": "Show only windows of a state" }, buttons);
  }

  group({ column, unit, windows }) {
    const by = unit === "range" ? `of other lengths by ${column}` : `by ${UNITS[unit]} of ${column}`;
    const what = column ? by : "without a time column";
    const heading = h("h3", null, `${counted(windows.length, "window")} `, h("span", { class: "quiet" }, what));
    const drawn = unit === "range" ? this.labels(windows) : this.grid(LAYOUTS[unit], windows);
    return h("div", { class: "group", role: "group", "aria-label": `Windows ${what}; arrow keys move, Enter opens` }, heading, drawn);
  }

  labels(windows) {
    return h("div", { class: "ranges" }, windows.map((window) =>
      this.cell(window, h("button", { type: "button" }, h("i", { class: "swatch", "data-state": window.state }), window.title,
        window.restored > 0 && h("small", null, " restored")))));
  }

  grid(layout, windows) {
    const [across, down] = [layout.width + 2, layout.height + 2];
    const rows = [...new Set(windows.map((window) => layout.row(window.start)))].reverse();
    const step = layout.rows * down + (layout.all ? 24 : 0);
    const top = (label) => TOP + rows.indexOf(label) * step;
    const place = (ms) => {
      const [x, y] = layout.cell(ms);
      return [LEFT + x * across, top(layout.row(ms)) + y * down];
    };
    const tops = new Map(rows.map((label) => [label, top(label)]));
    const [first, last] = [windows[0].start, windows.at(-1).start];
    const parts = [];
    for (const label of rows) {
      const at = tops.get(label);
      parts.push(s("text", { x: 0, y: at + layout.height / 2 + 4, class: "row" }, label));
      if (layout.all || label === rows[0]) {
        parts.push(layout.heads(label).map(([x, name]) => s("text", { x: LEFT + x * across, y: at - 6 }, name)));
      }
      parts.push((layout.sides ?? []).map(([y, name]) => s("text", { x: LEFT - 28, y: at + y * down + 9 }, name)));
      const none = layout.all
        ? layout.all(label).filter((ms) => ms >= first && ms <= last).map(place)
        : Array.from({ length: layout.columns }, (_, x) => [LEFT + x * across, at]);
      const path = none.map(([x, y]) => `M${x} ${y}h${layout.width}v${layout.height}h${-layout.width}z`).join("");
      parts.push(s("path", { class: "none", d: path }));
    }
    const cells = windows.map((window) => {
      const [column, line] = layout.cell(window.start);
      const [x, y] = [LEFT + column * across, tops.get(layout.row(window.start)) + line * down];
      const size = { x, y, width: layout.width, height: layout.height, rx: 2 };
      return this.cell(window, s("rect", { ...size, fill: hatch(window.state), "data-state": window.state, role: "button" }));
    });
    const [width, height] = [LEFT + layout.columns * across, TOP + rows.length * step];
    return h("div", { class: "scroll" }, s("svg", { width, height, viewBox: `0 0 ${width} ${height}` }, hatches(), parts, cells));
  }

  cell(window, node) {
    node.setAttribute("tabindex", "-1");
    node.setAttribute("aria-label", spoken(window));
    node.classList.add("cell");
    if (window.of_run) node.classList.add("of-run");
    if (window.restored) node.classList.add("restored");
    this.cells.set(window, node);
    node.of = window;
    return node;
  }

  /** Make a window the one that the Tab key reaches. */
  reach(window) {
    if (this.reached) this.cells.get(this.reached).setAttribute("tabindex", "-1");
    this.reached = window;
    if (window) this.cells.get(window).setAttribute("tabindex", "0");
  }

  select(window) {
    if (this.selected) this.cells.get(this.selected).removeAttribute("aria-pressed");
    this.selected = window;
    this.cells.get(window).setAttribute("aria-pressed", "true");
    this.reach(window);
  }

  clicked(event) {
    const cell = event.target.closest(".cell");
    if (cell) this.choose(cell.of);
  }

  pressed(event) {
    const cell = event.target.closest(".cell");
    if (!cell) return;
    if (event.key === "Enter" || event.key === " ") this.choose(cell.of);
    else if (event.key.startsWith("Arrow")) this.move(cell, event.key.slice(5));
    else return;
    event.preventDefault();
  }

  /** To the nearest cell in a direction. */
  move(from, direction) {
    const here = from.getBoundingClientRect();
    const turned = direction === "Up" || direction === "Down";
    const sign = direction === "Down" || direction === "Right" ? 1 : -1;
    let best = null;
    let least = Infinity;
    for (const [window, node] of this.cells) {
      const there = node.getBoundingClientRect();
      const [dx, dy] = [there.x - here.x, there.y - here.y];
      const [along, aside] = turned ? [dy * sign, Math.abs(dx)] : [dx * sign, Math.abs(dy)];
      const far = along + 8 * aside;
      if (along > 1 && far < least) [best, least] = [window, far];
    }
    if (!best) return;
    this.reach(best);
    this.cells.get(best).focus();
  }

  over(event) {
    const cell = event.target.closest(".cell");
    if (!cell) return;
    this.tip.textContent = spoken(cell.of);
    this.tip.hidden = false;
    const [box, frame] = [cell.getBoundingClientRect(), this.node.getBoundingClientRect()];
    const left = Math.min(box.left - frame.left, frame.width - this.tip.offsetWidth);
    this.tip.style.left = `${Math.max(0, left)}px`;
    this.tip.style.top = `${box.bottom - frame.top + 6}px`;
  }

  out() {
    this.tip.hidden = true;
  }
}

const hatch = (state) => (HATCHED.includes(state) ? `url(#hatch-${state})` : null);

/** Fills of states that are not whole: told by lines too, not by colour alone. */
function hatches() {
  return s("defs", null, HATCHED.map((name) =>
    s("pattern", { id: `hatch-${name}`, width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      s("rect", { width: 5, height: 5, class: `base-${name}` }), s("rect", { width: 2, height: 5, class: `line-${name}` }))));
}
