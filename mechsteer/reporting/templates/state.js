// What is filtered stands in the address, behind the place: #layers?only-language=fra_Latn&passed=4-
// Links to a place open what is folded around it.
function parts() {
  const [place, state = ""] = location.hash.slice(1).split(/\?(.*)/s);
  return { place, kept: new URLSearchParams(state) };
}
function remember() {
  const kept = new URLSearchParams();
  for (const [facet, values] of Object.entries(chosen)) {
    const [on, without] = [true, false].map((is) => [...values].filter(([, shown]) => shown === is));
    const [word, named] = on.length && on.length < without.length ? ["only", on] : ["without", without];
    for (const [value] of named) kept.append(`${word}-${facet}`, value);
  }
  for (const [kind, [from, to]] of Object.entries(layers)) {
    if (from > 0 || to < Infinity) kept.set(kind, `${from}-${to < Infinity ? to : ""}`);
  }
  const hash = `#${parts().place}${kept.size ? `?${kept}` : ""}`;
  if (hash !== (location.hash || "#")) history.replaceState(null, "", hash);
}
function recall() {
  const { kept } = parts();
  for (const box of form.querySelectorAll("[type=checkbox]")) {
    const [only, without] = ["only", "without"].map((word) => kept.getAll(`${word}-${box.name}`));
    box.checked = only.length ? only.includes(box.value) : !without.includes(box.value);
  }
  for (const kind of Object.keys(layers)) {
    const given = (kept.get(kind) ?? "").match(/^(\d*)-(\d*)$/) ?? [];
    ends(kind).forEach((end, i) => end && (end.value = given[i + 1] || end.defaultValue));
  }
  panel.open = true;
  applied();
}
function reveal() {
  let target = null;
  try {
    target = document.getElementById(decodeURIComponent(parts().place));
  } catch {
    return; // an address that is no address
  }
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target?.scrollIntoView();
}
function arrive() {
  if (parts().kept.size) recall();
  else remember();
  reveal();
}
addEventListener("hashchange", arrive);
arrive();
