// Tables sort by a click, or Enter, on a column head; numbers by value, missing ones last.
const number = (text) => Number(text.replace("\u2212", "-").replace("\u2013", "NaN"));
const compare = (a, b) => (a < b ? -1 : Number(a > b));
function sort(head) {
  const table = head.closest("table");
  const numeric = head.classList.contains("n");
  const first = numeric ? "descending" : "ascending";
  const other = numeric ? "ascending" : "descending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  const sign = order === "ascending" ? 1 : -1;
  const text = (row) => row.cells[head.cellIndex].textContent;
  const keyed = [...table.tBodies[0].rows].map((row) => [numeric ? number(text(row)) : text(row), row]);
  const missing = keyed.filter(([key]) => Number.isNaN(key));
  const known = keyed.filter(([key]) => !Number.isNaN(key));
  known.sort(([a], [b]) => sign * compare(a, b));
  table.tBodies[0].append(...[...known, ...missing].map(([, row]) => row));
  for (const each of head.parentElement.cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("table.sortable th button");
  if (button) sort(button.parentElement);
});

function make(name, parent, text, properties) {
  const element = Object.assign(document.createElement(name), properties);
  if (text !== undefined) element.textContent = text;
  parent?.append(element);
  return element;
}
function save(name, blob) {
  const link = make("a", null, "", { download: name, href: URL.createObjectURL(blob) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// A spreadsheet computes text that begins like a formula: files have an apostrophe before it.
const inert = (text) => text.replace(/^(?=[=+\-@\t\r])/, "'");
const shown = (text) => text.replace(/^'(?=[=+\-@\t\r])/, "");

// The data of a figure are comma-separated text; opened, they become a table and a file to save.
function parse(text) {
  const rows = [[]];
  for (const [, cell, end] of text.matchAll(/("(?:[^"]|"")*"|[^,\n]*)(,|\n|$)/g)) {
    rows.at(-1).push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    if (end === "\n") rows.push([]);
    if (end === "") break;
  }
  return rows.filter((row) => row.length > 1 || row[0] !== "");
}
function tabulate(pre) {
  const [names, ...rows] = parse(pre.textContent);
  const named = Object.values(COLUMNS).flat(); // of names, which may look like numbers
  const numeric = names.map((name, i) => !named.includes(name) && rows.every((row) => row[i] === "" || !isNaN(row[i])));
  const table = make("table", null, undefined, { className: "sortable" });
  make("caption", table, pre.id);
  const head = make("tr", make("thead", table));
  names.forEach((name, i) => {
    const cell = make("th", head, undefined, { scope: "col", className: numeric[i] ? "n" : "" });
    make("button", cell, shown(name), { type: "button" });
  });
  const body = make("tbody", table);
  for (const row of rows) {
    const line = make("tr", body);
    row.forEach((value, i) => {
      const cell = make("td", line, undefined, { className: numeric[i] ? "n" : "" });
      if (numeric[i]) cell.textContent = value === "" ? "\u2013" : value.replace("-", "\u2212");
      else make("bdi", cell, shown(value));
    });
  }
  const file = `${pre.id.replace("data-", "")}.csv`;
  const href = URL.createObjectURL(new Blob([pre.textContent], { type: "text/csv" }));
  const line = make("p", null, undefined, { className: "download" });
  make("a", line, file, { download: file, href });
  const region = make("div", null, undefined, { className: "scroll", tabIndex: 0 });
  region.setAttribute("role", "region");
  region.setAttribute("aria-label", file);
  region.append(table);
  pre.replaceWith(line, region);
  equip(region, file);
  filter(table);
}

// Every table can be searched, and what is shown of it saved.
const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
function shownAsCsv(table) {
  const rows = [...table.rows].filter((row) => !row.hidden);
  const plain = (cell) =>
    cell.classList.contains("n") && cell.tagName === "TD"
      ? cell.textContent.replace("\u2212", "-").replace("\u2013", "")
      : inert(cell.textContent);
  return rows.map((row) => [...row.cells].map(plain).map(quoted).join(",")).join("\n") + "\n";
}
function equip(region, file) {
  const table = region.querySelector("table");
  const tools = region.previousElementSibling;
  const label = make("label", tools, "Search ");
  const input = make("input", label, undefined, { type: "search" });
  input.addEventListener("input", () => {
    table.dataset.search = input.value.toLowerCase();
    filter(table);
  });
  const output = make("output", tools);
  output.setAttribute("aria-live", "off"); // filters of the page change all tables at once
  input.addEventListener("focus", () => output.setAttribute("aria-live", "polite"));
  input.addEventListener("blur", () => output.setAttribute("aria-live", "off"));
  const button = make("button", tools, "Save rows shown", { type: "button" });
  button.addEventListener("click", () =>
    save(file.replace(".csv", "-shown.csv"), new Blob([shownAsCsv(table)], { type: "text/csv" }))
  );
}
