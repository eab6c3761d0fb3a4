// A click, or Enter, on a column head sorts its table; numbers by value, missing ones last.
const value = (row, column, numeric) => {
  const text = row.cells[column].textContent;
  return numeric ? Number(text.replace("\u2212", "-").replace("\u2013", "NaN")) : text;
};
const compare = (a, b) => (a < b ? -1 : Number(a > b));
function sort(head) {
  const table = head.closest("table");
  const numeric = head.classList.contains("n");
  const first = numeric ? "descending" : "ascending";
  const other = numeric ? "ascending" : "descending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  const sign = order === "ascending" ? 1 : -1;
  const keyed = [...table.tBodies[0].rows].map((row) => [value(row, head.cellIndex, numeric), row]);
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
function make(name, parent, text) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}
function tabulate(pre) {
  const [names, ...rows] = parse(pre.textContent);
  const numeric = names.map((_, i) => rows.every((row) => row[i] === "" || !isNaN(row[i])));
  const table = document.createElement("table");
  table.className = "sortable";
  make("caption", table, pre.id);
  const head = make("tr", make("thead", table));
  names.forEach((name, i) => {
    const cell = make("th", head);
    cell.scope = "col";
    cell.className = numeric[i] ? "n" : "";
    make("button", cell, name).type = "button";
  });
  const body = make("tbody", table);
  for (const row of rows) {
    const line = make("tr", body);
    row.forEach((value, i) => {
      const cell = make("td", line);
      cell.className = numeric[i] ? "n" : "";
      if (numeric[i]) cell.textContent = value === "" ? "\u2013" : value.replace("-", "\u2212");
      else make("bdi", cell, value);
    });
  }
  const file = `${pre.id.replace("data-", "")}.csv`;
  const link = make("a", document.createElement("p"), file);
  link.parentElement.className = "download";
  link.download = file;
  link.href = URL.createObjectURL(new Blob([pre.textContent], { type: "text/csv" }));
  const region = document.createElement("div");
  region.className = "scroll";
  region.tabIndex = 0;
  region.setAttribute("role", "region");
  region.setAttribute("aria-label", file);
  region.append(table);
  pre.replaceWith(link.parentElement, region);
}
for (const details of document.querySelectorAll("details.data")) {
  details.addEventListener("toggle", () => details.querySelectorAll("pre.csv").forEach(tabulate));
}
