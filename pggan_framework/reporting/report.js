"use strict";
const media = JSON.parse(document.getElementById("media").textContent);

// ---- samples: one slider per run selects the time of its images and sounds; one sound plays at a time ----

let player = null, figurePlaying = null, queue = [];

function stop() {
  player?.pause();
  for (const button of document.querySelectorAll("[aria-pressed=true]")) button.setAttribute("aria-pressed", "false");
  figurePlaying?.classList.remove("playing");
  player = figurePlaying = null;
}

function play(figure, url) {
  stop();
  if (!url) { next(); return; }
  player = new Audio(url);
  figurePlaying = figure;
  figure.classList.add("playing");
  figure.querySelector(".play").setAttribute("aria-pressed", "true");
  const sound = player, line = figure.querySelector(".head-line");
  sound.addEventListener("ended", next);
  const follow = () => {
    if (player !== sound) return;
    if (sound.duration) line.style.left = `${100 * sound.currentTime / sound.duration}%`;
    requestAnimationFrame(follow);
  };
  follow();
  sound.play().catch(next);
}

function next() {
  stop();
  const following = queue.shift();
  if (following) following();
}

for (const section of document.querySelectorAll("section[data-run]")) {
  const run = media[section.dataset.run];
  const slider = section.querySelector("input[type=range]"), output = section.querySelector(".bar output");
  const figures = [...section.querySelectorAll("figure")], all = section.querySelector(".all");
  const images = new Map();  // address -> decoded image
  let shown = run.steps.length - 1;

  const step = figure => figure.dataset.what === "real" ? run.real : run.steps[shown];
  const number = figure => Number(figure.closest("[data-sample]").dataset.sample);
  const url = figure => step(figure)?.sounds[number(figure)];

  async function image(address) {
    if (!images.has(address)) {
      const made = new Image();
      made.src = address;
      images.set(address, made.decode().then(() => made));
    }
    return images.get(address);
  }

  async function draw(figure) {
    const canvas = figure.querySelector("canvas"), from = step(figure), tile = from?.tiles[number(figure)];
    const wanted = shown;
    if (!canvas) return;
    canvas.closest(".screen").hidden = !tile;
    if (!tile) return;
    const sheet = await image(from.sheet), [x, y, width, height] = tile;
    if (wanted !== shown) return;  // the slider has moved in the meantime
    canvas.width = width; canvas.height = height;
    canvas.getContext("2d").drawImage(sheet, x, y, width, height, 0, 0, width, height);
    const where = from === run.real ? "" : ` at ${from.kimg} kimg`;
    canvas.setAttribute("aria-label", `${figure.dataset.what} sample ${number(figure) + 1}${where}`);
  }

  function show() {
    if (output) output.textContent = `${run.steps[shown].kimg} kimg`;
    slider?.setAttribute("aria-valuetext", `${run.steps[shown].kimg} kimg`);
    for (const figure of figures) {
      if (figure.dataset.what === "generated") draw(figure);
      const button = figure.querySelector(".play");
      if (button) button.disabled = !url(figure);
    }
  }

  slider?.addEventListener("input", () => { queue = []; stop(); shown = Number(slider.value); show(); });
  for (const figure of figures) {
    figure.querySelector(".play")?.addEventListener("click", event => {
      const on = event.currentTarget.getAttribute("aria-pressed") === "true";
      queue = [];
      if (on) stop(); else play(figure, url(figure));
    });
  }
  all?.addEventListener("click", () => {
    const on = all.getAttribute("aria-pressed") === "true";
    queue = [];
    stop();
    if (on) return;
    queue = figures.filter(figure => figure.dataset.what === "generated" && url(figure)).map(figure => () => {
      play(figure, url(figure));
      all.setAttribute("aria-pressed", "true");
    });
    next();
  });
  figures.filter(figure => figure.dataset.what === "real").forEach(draw);
  if (run.steps.length) show();
}

// ---- charts: values at the pointer, and one kimg range for all charts ----

const numbers = text => text ? text.split(" ").map(Number) : [];
const short = value => Number(value.toPrecision(4)).toString();

const charts = [...document.querySelectorAll(".plot")].map(plot => {
  const svg = plot.querySelector("svg"), grid = [...svg.querySelectorAll("line.grid")];
  const box = { left: Number(grid[0]?.getAttribute("x1") ?? 60), right: Number(grid[0]?.getAttribute("x2") ?? 468) };
  const view = svg.viewBox.baseVal;
  Object.assign(box, { top: 12, bottom: view.height - 26, log: "log" in svg.dataset });
  const curves = [...svg.querySelectorAll("polyline")].map(line =>
    ({ line, x: numbers(line.dataset.x), y: numbers(line.dataset.y) }));
  const bands = [...svg.querySelectorAll("polygon")].map(area =>
    ({ area, x: numbers(area.dataset.x), low: numbers(area.dataset.low), high: numbers(area.dataset.high) }));
  const legend = plot.parentElement.querySelector(".legend");
  return { plot, svg, box, curves, bands, legend, values: [...legend.querySelectorAll("b")], range: null, at: null };
});
const everything = charts.flatMap(chart => chart.curves.flatMap(curve => curve.x));
const whole = [Math.min(...everything), Math.max(...everything)];

function steps(low, high, count) {
  const least = (high - low) / count, power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(each => each >= least * (1 - 1e-9));
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) found.push(n * step);
  return found;
}

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function zoom(chart, from, to) {
  const { svg, box, curves, bands } = chart, inside = x => x >= from && x <= to;
  const scale = box.log ? Math.log10 : value => value;
  const kept = curves.flatMap(curve => curve.y.filter((_, n) => inside(curve.x[n])));
  for (const band of bands) band.x.forEach((x, n) => { if (inside(x)) kept.push(band.low[n], band.high[n]); });
  if (!kept.length || !(to > from)) return;
  let [low, high] = [Math.min(...kept), Math.max(...kept)].map(scale);
  if (!(high > low)) [low, high] = [low - 0.5, high + 0.5];
  const X = x => box.left + (x - from) / (to - from) * (box.right - box.left);
  const Y = y => box.bottom - (scale(y) - low) / (high - low) * (box.bottom - box.top);
  const place = (x, y) => `${X(x).toFixed(1)},${Y(y).toFixed(1)}`;
  for (const { line, x, y } of curves)
    line.setAttribute("points", x.map((v, n) => inside(v) ? place(v, y[n]) : "").filter(Boolean).join(" "));
  for (const { area, x, low, high } of bands) {
    const at = x.map((_, n) => n).filter(n => inside(x[n]));
    area.setAttribute("points", [...at.map(n => place(x[n], high[n])), ...at.reverse().map(n => place(x[n], low[n]))]
      .join(" "));
  }
  for (const mark of svg.querySelectorAll(".mark")) {
    const x = Number(mark.dataset.x);
    mark.style.display = inside(x) ? "" : "none";
    if (mark.tagName === "line") { mark.setAttribute("x1", X(x)); mark.setAttribute("x2", X(x)); }
    else mark.setAttribute("x", X(x) + 3);
  }
  svg.querySelectorAll("line.grid, text.up, text.across").forEach(old => old.remove());
  for (const value of steps(low, high, 5)) {
    const y = box.bottom - (value - low) / (high - low) * (box.bottom - box.top);
    svg.prepend(element("line", { class: "grid", x1: box.left, x2: box.right, y1: y, y2: y }));
    svg.append(element("text", { class: "up", x: box.left - 5, y }, short(box.log ? 10 ** value : value)));
  }
  for (const value of steps(from, to, 5))
    svg.append(element("text", { class: "across", x: X(value), y: svg.viewBox.baseVal.height - 8 }, short(value)));
  chart.range = [from, to];
}

function read(chart, kimg) {
  const { svg, box, curves, values, legend } = chart;
  const xs = curves.flatMap(curve => curve.x);
  const [from, to] = chart.range ?? [Math.min(...xs), Math.max(...xs)], when = legend.querySelector(".when");
  chart.at = kimg === null ? null : Math.min(Math.max(kimg, from), to);
  svg.querySelector(".cursor")?.remove();
  when.hidden = kimg === null;
  curves.forEach(({ x, y }, n) => {
    let nearest = x.length - 1;
    if (kimg !== null) x.forEach((v, k) => { if (Math.abs(v - chart.at) < Math.abs(x[nearest] - chart.at)) nearest = k; });
    values[n].textContent = short(y[nearest]);
  });
  if (kimg === null) return;
  when.textContent = `at ${short(chart.at)} kimg:`;
  const x = box.left + (chart.at - from) / (to - from || 1) * (box.right - box.left);
  svg.append(element("line", { class: "cursor", x1: x, x2: x, y1: box.top, y2: box.bottom }));
}

for (const chart of charts) {
  const { plot, svg, box, curves } = chart;
  const xs = [...new Set(curves.flatMap(curve => curve.x))].sort((a, b) => a - b);
  plot.addEventListener("pointermove", event => {
    const drawn = svg.getBoundingClientRect(), x = (event.clientX - drawn.left) / drawn.width * svg.viewBox.baseVal.width;
    const [from, to] = chart.range ?? [xs[0], xs.at(-1)];
    read(chart, from + (x - box.left) / (box.right - box.left) * (to - from));
  });
  plot.addEventListener("pointerleave", () => read(chart, null));
  plot.addEventListener("blur", () => read(chart, null));
  plot.addEventListener("keydown", event => {
    const move = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!move) return;
    event.preventDefault();
    const here = chart.at === null ? xs.length : xs.findIndex(x => x >= chart.at);
    read(chart, xs[Math.min(Math.max(here + move, 0), xs.length - 1)]);
  });
}

const form = document.querySelector(".zoom");
form?.addEventListener("submit", event => event.preventDefault());
form?.addEventListener("input", () => {
  const from = form.from.value === "" ? whole[0] : Number(form.from.value);
  const to = form.to.value === "" ? whole[1] : Number(form.to.value);
  for (const chart of charts) zoom(chart, from, to);
});
form?.addEventListener("reset", () => { for (const chart of charts) zoom(chart, ...whole); });
