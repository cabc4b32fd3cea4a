// Below the calendar: what lies open, by value; rows by day; what the archive takes up; how far its drains are.

import { daily, lag, throughput } from "./charts.js";
import { entryNode, runLink } from "./details.js";
import { ago, bytes, h, moment, number } from "./dom.js";
import { bounds } from "./windows.js";

const none = (text) => h("p", { class: "quiet" }, text);

function table(heads, rows) {
  return h("div", { class: "scroll" }, h("table", null,
    h("thead", null, h("tr", null, heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", null, rows.map((cells) => h("tr", null, cells.map((cell) => h("td", null, cell)))))));
}

const more = ({ total, rows }) => total > rows.length && none(`The first ${number(rows.length)} of ${number(total)}.`);
const code = (text) => h("code", null, text);

function value(text, absent) {
  return text === null ? h("span", { class: "quiet" }, absent ? "no row" : "NULL") : code(text);
}

function mismatches(found) {
  if (!found.total) return none("The newest comparison of every window found all rows equal.");
  return [
    table(["Key", "Finding", "Column", "At the source", "In the archive", "Window", "Run"], found.rows.flatMap((row) => {
      const fields = row.fields.length ? row.fields : [{ column: row.columns.join(", "), source: null, archive: null }];
      return fields.map((field, i) => [
        i ? "" : code(row.row_key), i ? "" : row.finding, field.column,
        value(field.source, row.finding === "extra"), value(field.archive, row.finding === "missing"),
        i ? "" : bounds(row.window).title, i ? "" : runLink(row.dag_id, row.run_id, "run"),
      ]);
    })),
    more(found),
    none("Remedy: see why they differ, mend them, and verify the window again; repair of the verification can write them anew."),
  ];
}

function letters(found) {
  if (!found.total) return none("Every record could be stored.");
  return [
    table(["Record", "Since, UTC", "Why", "Key", "Value"], found.rows.map((row) => [
      code(`${row.topic} ${row.partition}:${row.offset}`), moment(row.recorded_at), [h("strong", null, row.error_class), ` ${row.why}`],
      code(row.key_bytes), [code(row.value_bytes), h("small", null, ` ${bytes(row.size)}`)],
    ])),
    more(found),
    none("Remedy: replay them with ReplayDeadLettersOperator once the cause is mended, or discard them with a reason. Until then the table is not purged."),
  ];
}

function quarantine(found) {
  if (!found.total) return none("No delete waits for a decision.");
  return [
    table(["Key", "Deleted at the source, UTC", "Captured, UTC", "Record", "Transaction"], found.rows.map((row) => [
      code(row.row_key), moment(row.source_time), moment(row.recorded_at), code(`${row.topic} ${row.partition}:${row.offset}`),
      code(row.transaction),
    ])),
    more(found),
    none("Nobody knows yet whether these deletes are the purge's or the application's. Remedy: drain to a barrier."),
  ];
}

function activity({ days, activity: found }, now) {
  const series = (name) => found.map((row) => [Date.parse(row.day), row[name]]);
  return [
    h("div", { class: "charts" }, daily("Rows proven", series("verified"), now, days),
      daily("Rows deleted at the source", series("purged"), now, days)),
    none(`Last ${days} days, by the times of the ledger's entries in UTC.`),
  ];
}

function drains({ hours, drains: found }, now) {
  if (!found.length) return none(`No drain of the last ${hours / 24} days is recorded.`);
  const fastest = Math.round(Math.max(...found.map((row) => row.fastest)));
  return [
    h("div", { class: "charts" }, throughput(found.map((row) => [row.hour, row.drained]), now, hours, fastest),
      lag(found.map((row) => [row.hour, row.waiting, row.left]), now, hours)),
    none(`Last ${hours / 24} days by hours in UTC; a drain counts in the hour in which it ended. Lag: the most records that a drain found \
before it, up to the offsets it worked towards; the orange part is what the hour's last drain left of them.`),
  ];
}

function space(found) {
  if (!found.parts) return none("The archive table holds no parts on this server.");
  const ratio = found.bytes ? (found.raw / found.bytes).toFixed(1) : "1.0";
  return [
    h("dl", { class: "sums" }, [
      ["On disk", bytes(found.bytes)], ["Uncompressed", `${bytes(found.raw)} (${ratio} : 1)`],
      ["Stored rows, all versions", number(found.versions)], ["Parts", number(found.parts)],
    ].map(([name, text]) => h("div", null, h("dt", null, name), h("dd", null, text)))),
    found.partitions.length > 1 && table(["Partition", "On disk", "Stored rows", "Parts"], found.partitions.map((row) => [
      code(row.partition), bytes(row.bytes), number(row.versions), number(row.parts),
    ])),
    none("By system.parts of the connected server; rows that wait for a merge count once for each version."),
  ];
}

function positions({ positions: found }, now) {
  if (!found.length) return none("No drain has recorded a position.");
  return [
    table(["Topic", "Generation", "Partition", "Drained to offset", "Moved last"], found.map((row) => [
      code(row.topic), row.generation, row.partition, number(row.next_offset), ago(row.recorded_at, now),
    ])),
    none("The present position of each partition."),
  ];
}

function audits({ audits: found }) {
  if (!found.length) return none("No audit and no restore yet.");
  return h("ol", { class: "entries" }, found.map((entry) => entryNode(entry)));
}

/** What belongs to a table, in the order of the page: address, heading, how it is shown, and whether it is a problem. */
export const SECTIONS = [
  { name: "mismatches", title: "Rows that differ", show: mismatches, problem: true },
  { name: "letters", title: "Open dead letters", show: letters, problem: true },
  { name: "quarantine", title: "Deletes in quarantine", show: quarantine, problem: true },
  { name: "drains", title: "Lag and throughput", show: drains },
  { name: "activity", title: "Rows by day", show: activity },
  { name: "space", title: "Space in ClickHouse", show: space },
  { name: "positions", title: "Drained positions", show: positions },
  { name: "audits", title: "Audits and restores", show: audits },
];

/** Calls back once, when an element comes into view. */
function whenSeen(node, callback) {
  const watch = new IntersectionObserver((seen) => {
    if (!seen.some(({ isIntersecting }) => isIntersecting)) return;
    watch.disconnect();
    callback();
  });
  watch.observe(node);
}

/**
 * A section that opens. One of problems is read at once, opens by itself when there are some, and is told at the head of the
 * table; any other is read when it comes into view.
 */
export function section({ name, title, show, problem }, read, now, told) {
  const count = h("b", { class: "count" });
  const body = h("div", { class: "body" }, none("Reading…"));
  const shortcut = h("button", { type: "button", hidden: true, onclick: () => node.scrollIntoView({ behavior: "smooth" }) });
  told.append(shortcut);
  const node = h("details", { class: "card", id: name, open: !problem }, h("summary", null, title, " ", count), body);
  const fill = async () => {
    try {
      const found = await read();
      body.replaceChildren(...[show(found, now)].flat(Infinity).filter(Boolean));
      if (!problem) return;
      count.textContent = number(found.total);
      count.classList.toggle("bad", found.total > 0);
      node.open = found.total > 0;
      shortcut.replaceChildren(h("b", { class: "bad" }, number(found.total)), title.toLowerCase());
      shortcut.hidden = found.total === 0;
    } catch (error) {
      body.replaceChildren(h("p", { class: "error" }, error.message));
    }
  };
  if (problem) fill();
  else whenSeen(node, fill);
  return node;
}
