// The page: the archive tables, the chosen one, the chosen window. Its address says what is chosen.

import { followTheme } from "./airflow.js";
import { Calendar } from "./calendar.js";
import { parts } from "./charts.js";
import { head, history, nothingChosen } from "./details.js";
import { ago, counted, h, moment, number } from "./dom.js";
import { SECTIONS, section } from "./open.js";
import { TROUBLE } from "./states.js";
import { parsed } from "./windows.js";

const at = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const focus = { dag_id: asked.get("dag_id") ?? "", run_id: asked.get("run_id") ?? "" };
let connection = asked.get("connection") ?? "";
let now = Date.now();

/** Read something as JSON; an error has the server's words. */
async function read(name, values = {}) {
  const parameters = new URLSearchParams({ ...(connection && { connection }), ...values });
  const answer = await fetch(`api/${name}?${parameters}`).catch(() => {
    throw new Error("Airflow's API server does not answer. Is it up, and are you still connected?");
  });
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  const words = { 401: "You are not logged in any more. Load Airflow's page again.", 403: "You may not see this page." };
  throw new Error(content.error ?? words[answer.status] ?? content.detail ?? `Airflow answered ${answer.status}; see the log of its API server.`);
}

function say(text, kind) {
  at("message").hidden = !text;
  at("message").className = kind ?? "";
  at("message").textContent = text ?? "";
}

function remember(values) {
  const parameters = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value) parameters.set(name, value);
    else parameters.delete(name);
  }
  window.history.replaceState(null, "", `?${parameters}`);
}

function tableRow(table, choose) {
  const trouble = Object.entries(table.states).filter(([state]) => TROUBLE.has(state)).reduce((sum, [, n]) => sum + n, 0);
  const button = h("button", { type: "button", class: "name" }, table.target);
  const row = h("tr", { "data-target": table.target, onclick: () => choose(table.target) },
    h("th", { scope: "row" }, button, h("small", null, table.source_table)),
    h("td", null, parts(table.states), h("small", null, counted(table.windows, "window"),
      trouble > 0 && h("b", { class: "bad" }, ` ${number(trouble)} to look at`))),
    h("td", { class: "number" }, number(table.remaining)),
    h("td", { class: "number" }, number(table.purged), table.restored > 0 && h("small", null, `${number(table.restored)} restored`)),
    h("td", null, h("time", { title: `${moment(table.touched)} UTC` }, ago(table.touched, now))));
  return row;
}

const HEADS = [
  ["Archive table, source", ""], ["Windows", ""],
  ["At the source", "Proven rows that are not deleted, each counted when its window was proven last"],
  ["Purged", "Proven rows that were deleted at the source"], ["Last entry", "The newest entry of the ledger"],
];

async function showTable(target) {
  for (const row of document.querySelectorAll("#tables tr[data-target]")) {
    row.toggleAttribute("data-chosen", row.dataset.target === target);
    row.querySelector("button").setAttribute("aria-current", String(row.dataset.target === target));
  }
  const panel = h("aside", { class: "card details", "aria-label": "Chosen window" }, nothingChosen());
  const place = h("div", { class: "card" }, h("p", { class: "quiet" }, "Reading…"));
  const told = h("div", { class: "legend", role: "group", "aria-label": "What lies open" });
  const sections = (some) => some.map((each) => section(each, () => read(each.name, { target }), now, told));
  const lists = h("div", { class: "lists" });
  at("table").hidden = false;
  at("table").replaceChildren(h("h2", null, target), told, h("div", { class: "split" }, place, panel), lists);
  lists.append(...sections(SECTIONS.filter(({ problem }) => problem)));
  try {
    const found = await read("windows", { target, ...(focus.dag_id && { dag_id: focus.dag_id, run_id: focus.run_id }) });
    performance.mark("read");
    const windows = parsed(found);
    const chosenBefore = new URLSearchParams(location.search).get("window");
    const calendar = new Calendar(windows, (chosen) => showWindow(target, chosen, calendar, panel));
    place.replaceChildren(calendar.node);
    performance.measure("drawn", "read");
    if (found.cut) place.append(h("p", { class: "quiet" }, `Only the ${number(windows.length)} windows with the newest entries are shown.`));
    const wanted = windows.find((each) => each.window === chosenBefore) ?? windows.findLast((each) => each.of_run);
    if (wanted) showWindow(target, wanted, calendar, panel);
  } catch (error) {
    place.replaceChildren(h("p", { class: "error" }, error.message));
  } finally {
    // Behind the calendar, which decides what is in view.
    lists.append(...sections(SECTIONS.filter(({ problem }) => !problem)));
  }
}

async function showWindow(target, chosen, calendar, panel) {
  calendar.select(chosen);
  remember({ target, window: chosen.window });
  panel.replaceChildren(...head(chosen, now), h("p", { class: "quiet" }, "Reading…"));
  try {
    const { entries } = await read("entries", { target, window: chosen.window });
    if (calendar.selected === chosen) {
      panel.replaceChildren(...head(chosen, now), ...history(entries));
      at("status").textContent = `${chosen.title}: ${counted(entries.length, "entry", "entries")} of the ledger`;
    }
  } catch (error) {
    panel.replaceChildren(...head(chosen, now), h("p", { class: "error" }, error.message));
  }
}

function showConnections(known, chosen) {
  at("choose").hidden = known.length < 2;
  at("connection").replaceChildren(...known.map((name) => h("option", { value: name, selected: name === chosen }, name)));
}

async function load() {
  say("");
  at("tables").setAttribute("aria-busy", "true");
  try {
    const { tables, note, ...about } = await read("tables", focus);
    now = about.now;
    showConnections(about.connections, about.connection);
    at("read").textContent = `read ${moment(now).slice(11)} UTC`;
    if (!tables.length) {
      at("table").hidden = true;
      at("tables").replaceChildren();
      const whose = focus.run_id ? "This run has written nothing to the ledger yet." : focus.dag_id ? "This DAG has written nothing to the ledger yet."
        : "The ledger has no entry of a DAG that you may read.";
      say(note ?? whose, "note");
      return;
    }
    const choose = (target) => {
      remember({ target, window: "" });
      showTable(target);
    };
    at("tables").replaceChildren(h("div", { class: "card scroll" }, h("table", { class: "overview" },
      h("thead", null, h("tr", null, HEADS.map(([text, title]) => h("th", { scope: "col", title: title || null }, text)))),
      h("tbody", null, tables.map((table) => tableRow(table, choose))))));
    const wanted = new URLSearchParams(location.search).get("target");
    await showTable(tables.some(({ target }) => target === wanted) ? wanted : tables[0].target);
  } catch (error) {
    at("table").hidden = true;
    at("tables").replaceChildren();
    say(error.message, "error");
  } finally {
    at("tables").removeAttribute("aria-busy");
  }
}

followTheme();
at("scope").textContent = focus.run_id ? `What the run ${focus.run_id} of ${focus.dag_id} has worked on`
  : focus.dag_id ? `What ${focus.dag_id} has archived` : "Every archived window, how far it is, and the proof behind it";
at("again").addEventListener("click", load);
at("connection").addEventListener("change", () => {
  connection = at("connection").value;
  remember({ connection, target: "", window: "" });
  load();
});
load();
