"use strict";
// Draws each figure when it comes near the window, links the range of T between figures, and gives out the tables.

document.documentElement.classList.add("script");
const NARROW = matchMedia("(max-width: 40rem)");
const views = new Map(); // by figure
let chosen = null; // the marked range of T, [low, high], or null for all

function bytes(id) {
  return Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
}

function unpacked(id) {
  const stream = new Blob([bytes(id)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

async function draw(figure) {
  const name = figure.dataset.figure;
  const spec = JSON.parse(await unpacked(`spec-${name}`));
  spec.description = figure.querySelector("img").alt;
  const actions = { export: true, source: false, compiled: false, editor: false };
  const { view } = await vegaEmbed(figure.querySelector(".chart"), spec, { renderer: "svg", actions });
  views.set(name, { view, params: new Map((spec.params ?? []).map((param) => [param.name, param])) });
  link(name);
}

// A figure with the selection T_window sets the range of T of every figure with the parameters T_from and T_to.
function link(name) {
  const { view, params } = views.get(name);
  if (params.has("T_window")) {
    view.addSignalListener("T_window", (_, range) => {
      chosen = range.T ?? null;
      views.forEach(narrow);
    });
  }
  narrow(views.get(name));
}

function narrow({ view, params }) {
  if (!params.has("T_from") || (chosen === null && !params.get("T_from").narrowed)) return;
  const lengths = params.get("T_from").bind.options;
  const inside = chosen === null ? lengths : lengths.filter((T) => chosen[0] <= T && T <= chosen[1]);
  if (inside.length === 0) return;
  params.get("T_from").narrowed = chosen !== null;
  view.signal("T_from", inside[0]).signal("T_to", inside.at(-1)).runAsync();
}

async function show(figure, interactive) {
  const status = figure.querySelector(".status");
  if (interactive && !views.has(figure.dataset.figure)) {
    status.textContent = "Drawing …";
    try {
      await draw(figure);
      status.textContent = "";
    } catch (error) {
      status.textContent = `The interactive figure could not be drawn (${error.message}); this is the plain one.`;
      figure.dataset.state = "failed";
      return;
    }
  }
  figure.dataset.state = interactive ? "drawn" : "plain";
  figure.querySelector(".switch").setAttribute("aria-pressed", String(interactive));
}

// On a narrow window the plain figure comes first: it needs no more than a swipe, and the memory of no chart.
const observer = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) {
        observer.unobserve(target);
        if (!NARROW.matches) show(target, true);
      }
    }
  },
  { rootMargin: "800px" },
);

for (const figure of document.querySelectorAll("[data-figure]")) {
  observer.observe(figure);
  figure.querySelector(".switch").addEventListener("click", () => show(figure, figure.dataset.state !== "drawn"));
}

async function download({ table, kind }) {
  const content = kind === "csv" ? await unpacked(`csv-${table}`) : bytes(`parquet-${table}`);
  const type = kind === "csv" ? "text/csv" : "application/vnd.apache.parquet";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = `${table}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

for (const button of document.querySelectorAll("[data-table]")) {
  button.addEventListener("click", () => download(button.dataset));
}
