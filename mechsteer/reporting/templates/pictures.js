// Pictures say their values under the mouse or a finger, and are saved as SVG and PNG.
const SVG = document.querySelector("svg")?.namespaceURI;
const REACH = 40; // pixels around a point at which it speaks
const told = new WeakMap();
function spots(svg) {
  if (!told.has(svg)) {
    let last = "";
    const found = svg.dataset.spots.split("|").map((spot) => {
      const [, x, y, same, rest] = spot.match(/^(-?\d+) (-?\d+) (\d+) (.*)$/s);
      last = last.slice(0, Number(same)) + rest; // words begin as those of the point before
      return { x: Number(x), y: Number(y), text: last };
    });
    told.set(svg, found);
  }
  return told.get(svg);
}
function shape(name, parent, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}
const tip = make("div", document.body, "", { id: "tip", hidden: true });
tip.setAttribute("aria-hidden", "true"); // readers have the table of the figure's data
let ring = null;
function hush() {
  tip.hidden = true;
  ring?.remove();
}
function speak(event) {
  const svg = event.target.closest?.("svg[data-spots]");
  hush();
  if (!svg) return;
  const box = svg.getBoundingClientRect();
  const scale = box.width / svg.viewBox.baseVal.width;
  const x = event.clientX - box.left;
  const y = event.clientY - box.top;
  let best = null;
  let nearest = REACH;
  for (const spot of spots(svg)) {
    const distance = Math.hypot(scale * spot.x - x, scale * spot.y - y);
    if (distance < nearest && !unwanted("edit", spot.text) && !unwanted("language", spot.text)) {
      nearest = distance;
      best = spot;
    }
  }
  if (!best) return;
  ring = shape("circle", svg, { cx: best.x, cy: best.y, r: 4, class: "ring" });
  tip.textContent = best.text;
  tip.hidden = false;
  const left = Math.min(box.left + scale * best.x + 12, innerWidth - tip.offsetWidth - 8);
  const above = box.top + scale * best.y - tip.offsetHeight - 10;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${above < 8 ? box.top + scale * best.y + 14 : above}px`;
}
document.addEventListener("pointermove", speak);
document.addEventListener("pointerdown", speak);
document.addEventListener("scroll", hush, { capture: true, passive: true });
document.addEventListener("keydown", (event) => event.key === "Escape" && hush());

// What is not asked for is veiled, where a picture goes over layers or over languages.
function layerOf(text, n) {
  const [, passed] = text.match(/, after (\d+) layers?: /) ?? [];
  if (passed) return ["passed", Number(passed)];
  if (text.includes(", embedding: ")) return ["passed", 0];
  if (text.includes(", final norm: ")) return ["passed", n + 1];
  const [, own] = text.match(/(?:^|, )layer (\d+): /) ?? [];
  return own ? ["neuron", Number(own)] : null;
}
// Names stand between these, long ones cut in their middle.
const BETWEEN = [", ", " \u2192 ", " and "];
function says(head, name) {
  if (BETWEEN.some((before) => BETWEEN.some((after) => `${before}${head}${after}`.includes(`${before}${name}${after}`)))) return true;
  const cut = head.split(/, | \u2192 | and /).filter((part) => part.includes("\u2026"));
  return cut.map((part) => part.split("\u2026")).some(([start, end]) => name.startsWith(start) && name.endsWith(end));
}
function unwanted(facet, text) {
  const [head] = text.split(/: (?!.*: )/s);
  return [...chosen[facet]].some(([name, on]) => !on && says(head, name));
}
const step = (all) => {
  const sorted = [...new Set(all)].sort((a, b) => a - b);
  return Math.min(...sorted.slice(1).map((value, i) => value - sorted[i]).filter((gap) => gap > 2));
};
function veil(svg) {
  svg.querySelectorAll(".veil").forEach((one) => one.remove());
  const [left, top, right, bottom] = svg.dataset.frame.split(" ").map(Number);
  const n = Number(document.querySelector("main").dataset.layers);
  const places = spots(svg);
  const beyond = places.filter(({ text }) => {
    const layer = layerOf(text, n);
    return layer && outside(...layer);
  });
  const wide = step(places.map(({ x }) => x));
  for (const x of new Set(beyond.map((spot) => spot.x))) {
    const from = Math.max(left, x - wide / 2);
    const width = Math.min(right, x + wide / 2) - from;
    shape("rect", svg, { x: from, y: top, width, height: bottom - top, class: "veil" });
  }
  const kind = svg.closest("figure").className;
  if (!["wide", "matrix", "single"].includes(kind)) return;
  const high = step(places.map(({ y }) => y));
  for (const { x, y } of places.filter(({ text }) => unwanted("language", text))) {
    const [from, width] = kind === "wide" ? [left, right - left] : [x - wide / 2, wide];
    shape("rect", svg, { x: from, y: y - high / 2, width, height: high, class: "veil" });
  }
}

// Rows of panels take the keyboard's focus only where they scroll: on narrow screens.
function focusable() {
  for (const row of document.querySelectorAll(".panels")) {
    if (row.scrollWidth > row.clientWidth) row.tabIndex = 0;
    else row.removeAttribute("tabindex");
  }
}
focusable();
addEventListener("resize", focusable);
document.addEventListener("toggle", focusable, true);

// A figure as one picture: its panels as they stand, in the colours of the page.
function picture(figure) {
  const style = getComputedStyle(figure);
  const frame = figure.querySelector(".panels").getBoundingClientRect();
  const panels = figure.querySelector(".panels");
  const whole = document.createElementNS(SVG, "svg");
  shape("title", whole, {}).textContent = figure.querySelector("figcaption strong").textContent;
  const paper = shape("rect", whole, { width: "100%", height: "100%" });
  let [right, bottom] = [0, 0];
  for (const svg of figure.querySelectorAll(".panel:not([hidden]) svg")) {
    const box = svg.getBoundingClientRect();
    const [x, y] = [box.left - frame.left + panels.scrollLeft + 12, box.top - frame.top + 12];
    const copy = svg.cloneNode(true);
    copy.querySelectorAll(".ring").forEach((one) => one.remove());
    for (const name of ["data-spots", "role", "aria-label", "style"]) copy.removeAttribute(name);
    const place = { x, y, width: box.width, height: box.height, overflow: "visible" };
    for (const [key, value] of Object.entries(place)) {
      copy.setAttribute(key, value);
    }
    whole.append(copy);
    right = Math.max(right, x + box.width + 12);
    bottom = Math.max(bottom, y + box.height + 12);
  }
  const rules = [...document.styleSheets[0].cssRules].map((rule) => rule.cssText);
  const own = rules.filter((rule) => /^\.panel \.\w+ \{/.test(rule)).map((rule) => rule.replace(".panel ", ""));
  whole.prepend(shape("style", whole, {}));
  const page = getComputedStyle(document.body);
  const font = `svg { color: ${style.color}; font-family: ${page.fontFamily}; }`;
  const still = `.veil { fill: ${page.backgroundColor}; opacity: .8; }`;
  whole.querySelector("style").textContent = [font, still, ...own].join("\n");
  paper.setAttribute("fill", page.backgroundColor);
  for (const [key, value] of Object.entries({ width: right, height: bottom, viewBox: `0 0 ${right} ${bottom}` })) {
    whole.setAttribute(key, value);
  }
  const colour = (_, name) => page.getPropertyValue(name).trim();
  return { text: new XMLSerializer().serializeToString(whole).replace(/var\((--\w+)\)/g, colour), right, bottom };
}
async function photograph({ text, right, bottom }) {
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = make("canvas", null, undefined, { width: 2 * right, height: 2 * bottom });
  const context = canvas.getContext("2d");
  context.scale(2, 2);
  context.drawImage(image, 0, 0, right, bottom);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}
for (const figure of document.querySelectorAll("figure:has(.panels)")) {
  const line = make("p", null, undefined, { className: "download tools" });
  const title = figure.querySelector("figcaption strong").textContent;
  const kinds = {
    SVG: () => new Blob([picture(figure).text], { type: "image/svg+xml" }),
    PNG: () => photograph(picture(figure)),
  };
  for (const [kind, draw] of Object.entries(kinds)) {
    const button = make("button", line, kind, { type: "button" });
    button.setAttribute("aria-label", `Save as ${kind}: ${title}`);
    button.addEventListener("click", async () => save(`${figure.id}.${kind.toLowerCase()}`, await draw()));
  }
  figure.querySelector("figcaption").after(line);
}
