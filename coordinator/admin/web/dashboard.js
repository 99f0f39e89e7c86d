// The operator's page: asks /api/status again and again and shows what it says. It talks to the coordinator that served
// it and to nobody else, and keeps nothing. What comes in is shown as text: nothing that a peer said becomes markup.
"use strict";

const $ = (id) => document.getElementById(id);
const number = (x) => x.toLocaleString("en");
const time = (s) => new Date(s * 1000).toISOString().replace("T", " ").slice(0, 19);
const bytes = (b) => (b < 1e4 ? `${b} B` : b < 1e7 ? `${(b / 1e3).toFixed(0)} kB` : `${(b / 1e6).toFixed(1)} MB`);
const few = (x) => (x === 0 ? "0" : Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5 ? x.toFixed(4) : x.toExponential(2));

// An element with text or children and a class.
function el(tag, inside, cls) {
  const made = document.createElement(tag);
  if (Array.isArray(inside)) made.append(...inside);
  else if (inside !== undefined) made.textContent = inside;
  if (cls) made.className = cls;
  return made;
}
const note = (text) => el("p", text, "note");
const row = (cells) => el("tr", cells.map(([text, cls]) => (text instanceof Node ? el("td", [text], cls) : el("td", text, cls))));

// Replaces what is shown only if it differs: who reads or selects is not disturbed every two seconds.
function fill(parent, children) {
  const fresh = el(parent.tagName, children);
  if (parent.innerHTML !== fresh.innerHTML) parent.replaceChildren(...fresh.childNodes);
}

const quality = (q) => (!q ? null : q.ndcg_at_10 ?? q.rmse ?? null);
const qualityName = (q) => (q.ndcg_at_10 !== undefined ? "NDCG@10" : "RMSE");
const shown = (q) => (quality(q) === null ? "\u2013" : quality(q).toFixed(4));
function epsilon(privacy, against) {
  if (!privacy) return "none";
  return privacy.protected ? privacy[`epsilon_${against}`].exact.toFixed(2) : "\u221e";
}

// --- lines

function svg(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// points: [{x: a label, y: a number}], oldest first. `low`: where the axis begins, if not at the least.
function plot(points, label, unit, low) {
  const ys = points.map((p) => p.y);
  const [first, last] = [ys[0], ys[ys.length - 1]];
  if (points.length === 1) return [note(`${label}: ${first.toFixed(4)}, ${unit} ${points[0].x}`)];
  const [top, bottom] = [Math.max(...ys), low ?? Math.min(...ys)];
  const x = (i) => 44 + (246 * i) / (points.length - 1);
  const y = (v) => 12 + 96 * (1 - (v - bottom) / (top - bottom || 1));
  const picture = svg("svg", { viewBox: "0 0 300 130", role: "img", "aria-label": `${label} from ${first.toFixed(4)} at ${unit} ${points[0].x} to ${last.toFixed(4)} at ${unit} ${points[points.length - 1].x}` });
  picture.append(
    svg("polyline", { points: points.map((p, i) => `${x(i)},${y(p.y)}`).join(" ") }),
    svg("circle", { cx: x(points.length - 1), cy: y(last), r: 3 }),
    svg("text", { x: 0, y: 16 }, top.toFixed(3)),
    svg("text", { x: 0, y: 112 }, bottom.toFixed(3)),
    svg("text", { x: 44, y: 127 }, `${unit} ${points[0].x}`),
    svg("text", { x: 290, y: 127, "text-anchor": "end" }, `${unit} ${points[points.length - 1].x}`));
  return [picture, note(`${label}, now ${last.toFixed(4)}`)];
}

// --- the cards

function facts(s) {
  const all = [["Model", `${s.job.family}, version ${s.version}`], ["Training rounds", s.training_rounds + (s.job.goal ? ` of ${s.job.goal}` : "")],
    ["Items", number(s.items)], ["Devices connected", number(s.devices.connected)],
    ["Waiting for a round", number(s.devices.ready) + (s.devices.needed ? ` of ${number(s.devices.needed)} needed` : "")],
    ["Round in progress", s.open_round ? `${s.open_round.round}, ${number(s.open_round.members)} devices` : "none"],
    ["Rounds published", number(s.rounds_published)], ["Rounds aborted", number(s.rounds_aborted)],
    ["Connections refused", number(s.connections_refused)], ["Memory", bytes(s.resident_bytes)], ["Store", bytes(s.store_bytes)],
    ["Running since", `${time(s.started)} UTC`]];
  return all.flatMap(([name, value]) => [el("dt", name), el("dd", value)]);
}

const steps = (r) => [["Invited", r.members], ["Sent keys", r.keys], ["Sent a masked update", r.masked], ["In the sum", r.survivors], ["Helped to unmask", r.unmasked]];

function funnel(last) {
  if (!last) return [note("No round has ended yet.")];
  const parts = [el("p", `Round ${last.round} (${last.purpose}), ${last.seconds.toFixed(1)} s` + (last.reason ? "" : `, ${last.cohorts} ${last.cohorts === 1 ? "cohort" : "cohorts"}`), "note")];
  parts.push(el("ol", steps(last).map(([name, n]) => {
    const bar = el("div", undefined, "bar");
    bar.style.width = `${last.members ? (100 * n) / last.members : 0}%`;
    return el("li", [el("span", `${name}: ${number(n)}`), bar]);
  }), "funnel"));
  if (last.reason) parts.push(el("p", last.reason, "bad"));
  return parts;
}

function qualityCard(s) {
  const measured = s.rounds.filter((r) => quality(r.quality) !== null);
  if (!measured.length) return [note("Nothing was measured yet.")];
  return plot(measured.map((r) => ({ x: r.round, y: quality(r.quality) })), `${qualityName(measured[0].quality)}, held out`, "round");
}

function privacyCard(s) {
  const told = s.versions.filter((v) => v.privacy);
  if (!told.length) return [note("Nothing was asked of anybody yet.")];
  const now = told[told.length - 1].privacy;
  if (!now.protected) return [el("p", "NO DIFFERENCING PROTECTION: updates carry no noise, \u03b5 is infinite.", "bad")];
  return plot(told.map((v) => ({ x: v.version, y: v.privacy.epsilon_coordinator.exact })), `\u03b5 against the coordinator at \u03b4 ${now.delta}`, "version", 0)
    .concat([note(`Against readers of the model: ${now.epsilon_readers.exact.toFixed(2)}${now.rounds_left !== null ? `; rounds left: ${number(now.rounds_left)}` : ""}`)]);
}

function reasons(s) {
  const lines = [];
  const ended = s.rounds.filter((r) => !r.reason);
  const lost = (from, to) => ended.reduce((sum, r) => sum + Math.max(0, r[from] - r[to]), 0);
  for (const [what, n] of [["sent no keys", lost("members", "keys")], ["sent keys and no masked update", lost("keys", "masked")],
    ["masked updates that could not be used", lost("masked", "survivors")]]) {
    if (n) lines.push(`${what}: ${number(n)}`);
  }
  for (const [reason, n] of Object.entries(s.declined)) lines.push(`declined, ${reason}: ${number(n)}`);
  for (const [reason, n] of Object.entries(s.cohorts_aborted)) lines.push(`cohorts aborted, ${reason}: ${number(n)}`);
  if (s.convicted) lines.push(`convicted by a proof: ${number(s.convicted)}`);
  if (s.connections_refused) lines.push(`connections refused: ${number(s.connections_refused)}`);
  return lines.length ? [el("ul", lines.map((text) => el("li", text)))] : [note("Nobody.")];
}

// --- the tables

function table(name, rows, nothing) {
  $(`${name}-table`).hidden = rows.length === 0;
  if ($(`no-${name}`)) {
    $(`no-${name}`).hidden = rows.length !== 0;
    $(`no-${name}`).textContent = nothing;
  }
  fill($(name), rows);
}

const roundRow = (r) => row([[r.round], [r.purpose, "text"], [time(r.when), "text"], [r.seconds.toFixed(2)], ...steps(r).map(([, n]) => [number(n)]),
  [r.cohorts_aborted], [shown(r.quality)], [r.reason || "", "text bad"]]);

function versionRow(v) {
  let link = "";
  if (v.kept) {
    link = el("a", "Download");
    link.href = `/api/model?${ofJob()}&version=${v.version}`;
    link.download = "";
    link.setAttribute("aria-label", `Download version ${v.version}`);
  }
  return row([[v.version], [time(v.when), "text"], [v.training_rounds], [number(v.items)], [number(v.bytes)], [shown(v.quality)],
    [epsilon(v.privacy, "coordinator")], [epsilon(v.privacy, "readers")], [link, "text"]]);
}

function options(select, values, preset) {
  const before = select.value;
  fill(select, values.map((v) => el("option", String(v))));
  select.value = values.map(String).includes(before) ? before : String(preset);
}

// --- what is shown, of which job

// The job that is shown, for what is asked besides.
let job = "";
const ofJob = () => `job=${encodeURIComponent(job)}`;

function showJobs(jobs) {
  $("pick").hidden = jobs.length < 2;
  options($("jobs"), jobs.map((one) => one.name), jobs[0].name);
  job = $("jobs").value;
}

function show(s) {
  document.title = `${s.job.name} \u2013 Chorus coordinator`;
  $("job").textContent = s.job.name;
  $("phase").textContent = s.stopping ? "stopping" : s.paused ? "paused" : s.phase;
  fill($("facts"), facts(s));
  fill($("funnel"), funnel(s.rounds[s.rounds.length - 1]));
  fill($("quality"), qualityCard(s));
  fill($("epsilon"), privacyCard(s));
  fill($("reasons"), reasons(s));
  table("rounds", s.rounds.slice(-50).reverse().map(roundRow),
    s.devices.needed ? `No round has ended yet: ${number(s.devices.ready)} of the ${number(s.devices.needed)} devices that a round needs are ready.` : "No round has ended yet.");
  table("versions", s.versions.slice(-50).reverse().map(versionRow));
  const kept = s.versions.filter((v) => v.kept).map((v) => v.version);
  $("compare").hidden = kept.length < 2;
  if (kept.length >= 2) {
    options($("from"), kept, kept[0]);
    options($("to"), kept, kept[kept.length - 1]);
  }
}

const auditRow = (a) => row([[time(a.when), "text"], [a.who, "text"], [a.action, "text"], [a.job ?? "", "text"], [a.detail, "text"]]);

// --- two versions side by side

function difference(d) {
  const heading = el("h3", `From version ${d.from} to version ${d.to}`);
  const change = `The numbers moved by ${few(d.change)} in all, ${d.before > 0 ? `${((100 * d.change) / d.before).toFixed(2)} % of their size` : "from nothing"}; quality ${shown(d.quality_from)} \u2192 ${shown(d.quality_to)}.`;
  const head = (names) => el("thead", [el("tr", names.map(([name, cls]) => { const th = el("th", name, cls); th.scope = "col"; return th; }))]);
  const scroll = (label, t) => { const box = el("div", [t], "scroll"); box.tabIndex = 0; box.setAttribute("role", "region"); box.setAttribute("aria-label", label); return box; };
  const tensors = el("table", [head([["Tensor", "text"], ["Shape"], ["Change"], ["Of its size"], ["Largest"]]),
    el("tbody", d.tensors.map((t) => row([[t.name, "text"], [t.shape.join(" \u00d7 ")], [few(t.change)], [t.before > 0 ? `${((100 * t.change) / t.before).toFixed(2)} %` : "new"], [few(t.largest)]])))]);
  const items = el("table", [head([["Item", "text"], ["Change"]]), el("tbody", d.items.map((i) => row([[i.title, "text"], [few(i.change)]])))]);
  return [heading, el("p", change), scroll("Tensors", tensors), el("h3", "Items that changed most"), d.items.length ? scroll("Items that changed most", items) : note("None.")];
}

$("compare").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const response = await fetch(`/api/difference?${ofJob()}&from=${$("from").value}&to=${$("to").value}`);
    $("difference").replaceChildren(...(response.ok ? difference(await response.json()) : [el("p", (await response.text()).trim(), "bad")]));
  } catch {
    $("difference").replaceChildren(el("p", "The coordinator does not answer.", "bad"));
  }
});

// --- the clock, and what an operator does

async function ask(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error((await response.text()).trim());
  return response.json();
}

let failed = 0;
let shownOnce = false;
async function look() {
  const main = document.querySelector("main");
  try {
    const [jobs, audit] = await Promise.all([ask("/api/jobs"), ask("/api/audit")]);
    table("audit", audit.slice(-100).reverse().map(auditRow), "Nobody has asked for anything yet.");
    if (jobs.length) {
      showJobs(jobs);
      show(await ask(`/api/status?${ofJob()}`));
      shownOnce = true;
    } else {
      $("phase").textContent = "no job";
      for (const card of document.querySelectorAll(".waits")) fill(card, [note("There is no job.")]);
      table("rounds", [], "There is no job.");
    }
    if (failed || main.ariaBusy === "true") $("state").textContent = jobs.length ? "" : "This coordinator has no job. To give it one: chorus-coordinator job submit.";
    failed = 0;
    main.ariaBusy = "false";
  } catch {
    failed += 1;
    if (failed === 1) {
      $("phase").textContent = "unreachable";
      $("state").textContent = shownOnce ? "The coordinator does not answer; what you see is old." : "The coordinator does not answer. This page goes on trying.";
    }
  }
}

let timer = 0;
async function refresh() {
  clearTimeout(timer);
  await look();
  clearTimeout(timer);
  timer = setTimeout(refresh, failed ? 5000 : 2000);
}

$("jobs").addEventListener("change", () => {
  $("difference").replaceChildren();
  refresh();
});

$("commands").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = event.submitter?.value ?? "pause";
  $("answer").textContent = "";
  try {
    const response = await fetch(`/api/${name}?${ofJob()}`, { method: "POST", headers: { Authorization: `Bearer ${$("token").value}` } });
    $("answer").textContent = (await response.text()).trim();
  } catch {
    $("answer").textContent = "The coordinator does not answer.";
  }
});

refresh();
