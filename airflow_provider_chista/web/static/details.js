// The chosen window: where it stands, and every entry that the ledger has of it, by proof.

import { address, go, runPath } from "./airflow.js";
import { ago, counted, h, moment, number } from "./dom.js";
import { STATE } from "./states.js";

/** What an entry of a stage says, from the entry and its facts. */
const TOLD = {
  begun: () => "Comparison begun",
  repaired: (e) => `${counted(e.rows, "row")} to be repaired from the source`,
  verified: (e) => (e.rows ? `${counted(e.rows, "row")} proven equal` : "Proven: no rows at the source"),
  mismatched: () => "The rows differ",
  checked: (e) => `Checked by ${e.facts.mode ?? "comparison"}: ${counted(e.rows, "row")} equal`,
  approved: (e) => (e.actor ? `Approved by ${e.actor}` : "Approved, by nobody who is named"),
  rejected: (e) => (e.actor ? `Rejected by ${e.actor}` : "Rejected: nobody answered in time"),
  intent: (e) => `Purge begun: ${counted(e.rows, "row")} to delete`,
  deleted: (e) => `${counted(e.rows, "row")} deleted at the source`,
  sealed: (e) => `Sealed: ${counted(e.rows, "delete")} came back`,
  restored: (e) => `${counted(e.rows, "row")} restored to the source${e.actor ? ` by ${e.actor}` : ""}`,
  audited: (e) => (e.facts.findings?.length ? `Audit found ${e.facts.findings.join(", ")}` : "Audit: everything as it was proven"),
};

const LABELS = {
  reason: "reason", mode: "mode", method: "method", columns: "columns", rewritten: "written again since", connector: "connector",
  missing: "missing", extra: "extra", differing: "differing", skipped: "skipped", partitions: "partitions",
  conflicts: "conflicts", already_there: "already there", not_archived: "not archived", batches: "batches",
};

/** The facts of an entry that are worth a line; what was not counted is left out. */
function facts(entry) {
  const lines = [];
  for (const [name, label] of Object.entries(LABELS)) {
    const value = entry.facts[name];
    const empty = value === undefined || value === null || value === "" || value === 0 || (Array.isArray(value) && !value.length);
    if (empty || (entry.stage === "checked" && name === "mode")) continue;
    if (name === "skipped") {
      const reasons = Object.entries(value).map(([why, rows]) => `${why}: ${number(rows)}`);
      if (reasons.length) lines.push([label, reasons.join(", ")]);
    } else lines.push([label, Array.isArray(value) ? value.join(", ") : typeof value === "number" ? number(value) : String(value)]);
  }
  return lines;
}

/** A link that leads to a run in Airflow's own pages. */
export function runLink(dagId, runId, text) {
  const path = runPath(dagId, runId);
  const follow = (event) => {
    event.preventDefault();
    go(path);
  };
  return h("a", { href: address(path), onclick: follow, title: `Run ${runId} of ${dagId}` }, text ?? runId);
}

/** Stages whose digest is a statement of its own. */
const DIGESTED = new Set(["verified", "checked", "sealed", "restored", "audited"]);

/** An entry as a list item; its run is named unless it is that of the heading. */
export function entryNode(entry, known) {
  const more = facts(entry);
  return h("li", { "data-stage": entry.stage },
    h("strong", null, TOLD[entry.stage]?.(entry) ?? entry.stage),
    more.length > 0 && h("dl", null, more.map(([label, value]) => [h("dt", null, label), h("dd", null, value)])),
    entry.digest && DIGESTED.has(entry.stage) && h("code", { class: "digest", title: "Digest: number of rows, and sums over their hashes" }, entry.digest),
    h("small", null, h("time", null, `${moment(entry.at)} UTC`), " · ",
      `${entry.task_id}, try ${entry.try_number}`, entry.run_id !== known?.run_id && [" · ", runLink(entry.dag_id, entry.run_id)]));
}

/** Entries by proof, the newest proof first, its entries in their order. */
function proofs(entries) {
  const found = new Map();
  for (const entry of entries) found.set(entry.verify_id, [entry, ...(found.get(entry.verify_id) ?? [])]);
  return [...found];
}

export const nothingChosen = () => [h("h3", null, "Window"), h("p", { class: "quiet" }, "Choose a window to see its entries in the ledger.")];

/** The head of the panel, which is known before the entries are read. */
export function head(window, now) {
  const { label, meaning } = STATE[window.state];
  const sums = [["At the source", window.remaining], ["Purged", window.purged], ["Restored", window.restored]]
    .filter(([name, value]) => value || name !== "Restored");
  return [
    h("h3", { id: "window-title", tabindex: "-1" }, window.title),
    h("p", { class: "badge" }, h("i", { class: "swatch", "data-state": window.state }), label),
    h("p", { class: "quiet" }, meaning),
    h("dl", { class: "sums" }, sums.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, number(value))))),
    h("p", null, runLink(window.dag_id, window.run_id, "Open the run"), h("span", { class: "quiet" },
      ` of ${window.dag_id}, which wrote last, ${ago(window.last, now)}`)),
  ];
}

export const history = (entries) => proofs(entries).map(([id, some]) =>
  h("section", { class: "proof" },
    h("h4", null, some.every(({ stage }) => stage === "restored") ? "Restore " : "Proof ", h("code", { title: id }, id.slice(0, 8)),
      h("small", null, " of ", runLink(some[0].dag_id, some[0].run_id))),
    h("ol", { class: "entries" }, some.map((entry) => entryNode(entry, some[0])))));
