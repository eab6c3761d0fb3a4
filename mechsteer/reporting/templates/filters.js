// Languages, edits, metrics and layers, chosen once for the whole page; links open what is folded.
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
  output.textContent = shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
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
  if (output) output.textContent = shown === all.length ? `${shown} cards` : `${shown} of ${all.length} cards`;
}
function filterAll() {
  document.querySelectorAll("table.sortable").forEach(filter);
  filterCards();
  for (const figure of document.querySelectorAll("figure[data-metric]")) {
    figure.hidden = off("metric", figure.dataset.metric);
  }
  for (const panel of document.querySelectorAll(".panel")) {
    panel.hidden = off("language", panel.dataset.language) || off("run", panel.dataset.run);
  }
  for (const mark of document.querySelectorAll("[data-arm]")) {
    mark.style.display = off("edit", mark.dataset.arm) ? "none" : "";
  }
  document.querySelectorAll("svg[data-spots]").forEach(veil);
}

function boxes(form, legend, facet, values) {
  if (values.length < 2) return;
  const set = make("fieldset", form);
  make("legend", set, legend);
  for (const value of values) {
    chosen[facet].set(value, true);
    const label = make("label", set);
    const box = make("input", label, undefined, { type: "checkbox", checked: true, value, name: facet });
    make("bdi", label, value);
    box.addEventListener("change", () => {
      chosen[facet].set(value, box.checked);
      filterAll();
    });
  }
  for (const [words, all] of [["all", true], ["none", false]]) {
    const button = make("button", set, words, { type: "button" });
    button.setAttribute("aria-label", `${legend}: ${words}`);
    button.addEventListener("click", () => {
      for (const box of set.querySelectorAll("input")) {
        box.checked = all;
        chosen[facet].set(box.value, all);
      }
      filterAll();
    });
  }
}
function range(form, legend, kind, last) {
  const set = make("fieldset", form);
  make("legend", set, legend);
  const ends = [["from", 0], ["to", last]].map(([words, value]) => {
    const label = make("label", set, `${words} `);
    return make("input", label, undefined, { type: "number", min: 0, max: last, value, name: `${kind}-${words}` });
  });
  for (const end of ends) {
    end.addEventListener("input", () => {
      const [low, high] = ends.map((one) => one.value);
      layers[kind] = [low === "" ? 0 : Number(low), high === "" ? Infinity : Number(high)];
      filterAll();
    });
  }
}
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
function reveal() {
  let target = null;
  try {
    target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  } catch {
    return;
  }
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target?.scrollIntoView();
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
addEventListener("hashchange", reveal);
if (location.hash) reveal();
