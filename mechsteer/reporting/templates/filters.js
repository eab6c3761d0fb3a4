// Languages, edits, metrics and layers, chosen once for the whole page.
const FIXED = { base: "none", centring: "centring", dimensions: "dimensions removed", standardisation: "standardised" };
const COLUMNS = { language: ["language", "label", "source", "target", "other"], edit: ["edit"], metric: ["metric"], run: ["run"] };
const chosen = { language: new Map(), edit: new Map(), metric: new Map(), run: new Map() };
const layers = { neuron: [0, Infinity], passed: [0, Infinity] };
const off = (facet, value) => chosen[facet].get(value) === false;
const outside = (kind, layer) => layer < layers[kind][0] || layer > layers[kind][1];
const kindOf = (element) => (element.closest("#experts-section, #cards") ? "neuron" : "passed");
const heads = (table) => [...table.tHead.rows[0].cells].map((cell) => cell.textContent);

function armOf(names, row) {
  const cell = (name) => row.cells[names.indexOf(name)]?.textContent ?? "";
  const edit = cell("edit");
  if (!names.includes("kind") || cell("kind") === "edit") return edit;
  const fixed = FIXED[cell("kind")];
  return fixed ?? (chosen.edit.has(`random ${edit}`) ? `random ${edit}` : "random");
}
function filter(table) {
  const names = heads(table);
  const rows = [...table.tBodies[0].rows];
  const layer = names.findIndex((name) => name === "layer" || name === "layers passed");
  const cells = Object.entries(COLUMNS).flatMap(([facet, columns]) =>
    columns.map((name) => [facet, names.indexOf(name)]).filter(([, at]) => at >= 0)
  );
  for (const row of rows) {
    const value = (facet, at) => (facet === "edit" ? armOf(names, row) : row.cells[at].textContent);
    row.hidden =
      cells.some(([facet, at]) => off(facet, value(facet, at))) ||
      (layer >= 0 && outside(kindOf(table), number(row.cells[layer].textContent))) ||
      !row.textContent.toLowerCase().includes(table.dataset.search ?? "");
  }
  const shown = rows.filter((row) => !row.hidden).length;
  const output = table.closest(".scroll").previousElementSibling.querySelector("output");
  output.textContent = count(shown, rows.length, "row");
  return [shown, rows.length];
}
function count(shown, all, noun) {
  const nouns = all === 1 ? noun : `${noun}s`;
  return shown === all ? `${all} ${nouns}` : shown ? `${shown} of ${all} ${nouns}` : `none of ${all} ${nouns}: nothing passes`;
}
function filterCards() {
  const all = [...document.querySelectorAll("details.card")];
  const query = document.querySelector("#card-search")?.value.toLowerCase() ?? "";
  for (const card of all) {
    const { language, layer } = card.dataset;
    card.hidden =
      off("language", language) || outside("neuron", Number(layer)) || !card.textContent.toLowerCase().includes(query);
  }
  const shown = all.filter((card) => !card.hidden).length;
  const output = document.querySelector("#card-count");
  if (output) output.textContent = count(shown, all.length, "card");
}
function filterPanels(figure) {
  const all = [...figure.querySelectorAll(".panel")];
  for (const panel of all) panel.hidden = off("language", panel.dataset.language) || off("run", panel.dataset.run);
  const none = figure.querySelector(".none") ?? make("p", figure.querySelector(".panels"), "Nothing passes the filters.", { className: "none" });
  none.hidden = all.some((panel) => !panel.hidden);
}
function filterAll() {
  const counts = [...document.querySelectorAll("table.sortable")].map(filter);
  filterCards();
  for (const figure of document.querySelectorAll("figure[data-metric]")) {
    figure.hidden = off("metric", figure.dataset.metric);
  }
  document.querySelectorAll("figure:has(.panels)").forEach(filterPanels);
  for (const mark of document.querySelectorAll("[data-arm]")) {
    mark.style.display = off("edit", mark.dataset.arm) ? "none" : "";
  }
  document.querySelectorAll("svg[data-spots]").forEach(veil);
  const [shown, all] = [0, 1].map((i) => counts.reduce((sum, each) => sum + each[i], 0));
  form.querySelector("output").textContent = `In all tables: ${count(shown, all, "row")}`;
}

function boxes(form, legend, facet, values) {
  if (values.length < 2) return;
  const set = make("fieldset", form);
  make("legend", set, legend);
  for (const value of values) {
    chosen[facet].set(value, true);
    const label = make("label", set);
    const box = make("input", label, undefined, { type: "checkbox", defaultChecked: true, value, name: facet });
    make("bdi", label, value);
    box.addEventListener("change", applied);
  }
  for (const [words, all] of [["all", true], ["none", false]]) {
    const button = make("button", set, words, { type: "button" });
    button.setAttribute("aria-label", `${legend}: ${words}`);
    button.addEventListener("click", () => {
      for (const box of set.querySelectorAll("input")) box.checked = all;
      applied();
    });
  }
}
function range(form, legend, kind, last) {
  const set = make("fieldset", form);
  make("legend", set, legend);
  const both = [["from", 0], ["to", last]].map(([words, value]) => {
    const label = make("label", set, `${words} `);
    return make("input", label, undefined, { type: "number", min: 0, max: last, defaultValue: value, name: `${kind}-${words}` });
  });
  for (const end of both) end.addEventListener("input", applied);
}
// What the form says is done, and kept in the address.
function applied() {
  for (const box of form.querySelectorAll("[type=checkbox]")) chosen[box.name].set(box.value, box.checked);
  for (const kind of Object.keys(layers)) {
    const [from, to] = ends(kind);
    if (!from) continue;
    const [low, high] = [from.value === "" ? 0 : Number(from.value), to.value === "" ? Infinity : Number(to.value)];
    layers[kind] = [low, high >= Number(to.max) ? Infinity : high];
  }
  filterAll();
  remember();
}
const ends = (kind) => ["from", "to"].map((end) => form.elements[`${kind}-${end}`]);
function found(facet, attribute) {
  const values = new Set();
  for (const table of document.querySelectorAll("table.sortable")) {
    const names = heads(table);
    for (const at of COLUMNS[facet].map((name) => names.indexOf(name)).filter((at) => at >= 0)) {
      for (const row of table.tBodies[0].rows) values.add(row.cells[at].textContent);
    }
  }
  for (const element of document.querySelectorAll(`[data-${attribute}]`)) values.add(element.dataset[attribute]);
  values.delete("");
  return [...values];
}

const panel = make("details", null, undefined, { className: "filters", id: "filters" });
const KINDS = document.querySelector("main").dataset.kinds;
make("summary", panel, `Filter ${KINDS.toLowerCase()}, edits, metrics, layers`);
const form = make("form", panel);
form.addEventListener("submit", (event) => event.preventDefault());
const edits = new Set(found("edit", "edit"));
document.querySelectorAll('[data-arm="none"]').forEach(() => edits.add("none"));
boxes(form, "Runs", "run", found("run", "run"));
boxes(form, KINDS, "language", found("language", "language"));
boxes(form, "Edits", "edit", [...edits]);
boxes(form, "Metrics", "metric", found("metric", "metric"));
const last = Number(document.querySelector("main").dataset.layers);
if (last) {
  range(form, "Layers of neurons", "neuron", last - 1);
  range(form, "Layers passed by embeddings", "passed", last + 1);
}
const foot = make("p", form);
make("button", foot, "Show everything", { type: "reset" });
make("output", foot);
form.addEventListener("reset", () => setTimeout(applied)); // when the form has its first values again
document.querySelector("header").append(panel);
const cards = document.querySelector("#card-list");
if (cards) {
  const line = make("p", null, undefined, { className: "download" });
  const label = make("label", line, "Search cards ");
  make("input", label, undefined, { type: "search", id: "card-search" }).addEventListener("input", filterCards);
  make("output", line, undefined, { id: "card-count" });
  const button = make("button", line, "Open all", { type: "button" });
  button.addEventListener("click", () => {
    for (const card of cards.querySelectorAll("details.card:not([hidden])")) card.open = true;
  });
  cards.before(line);
  filterCards();
}
for (const region of document.querySelectorAll(".scroll:has(> .sortable)")) {
  equip(region, region.previousElementSibling.querySelector("a").download);
  filter(region.querySelector("table"));
}
for (const details of document.querySelectorAll("details.data")) {
  details.addEventListener("toggle", () => details.querySelectorAll("pre.csv").forEach(tabulate));
}
