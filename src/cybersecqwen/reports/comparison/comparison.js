"use strict";
const PAGE = 50;
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const whole = (number) => number.toLocaleString("en");

// All text goes in as text: what models and benchmarks wrote is never read as HTML.
function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Tables sort by the number a cell begins with, or by its text; what has no number goes last.
function sortable(table) {
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = make("button", { type: "button", class: "sort" }, head.textContent);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "descending";
      table.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((x, y) => order(cell(x, column), cell(y, column), down ? 1 : -1));
      table.tBodies[0].append(...rows);
    });
  });
}
function cell(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = parseFloat(text.replace(/[<,]/g, ""));
  return row.cells[column].classList.contains("n") ? number : text;
}
function order(x, y, sign) {
  if (typeof x === "string") return sign * x.localeCompare(y, "en");
  return Number.isNaN(x) - Number.isNaN(y) || sign * (x - y) || 0;
}

// What an answer comes to over its trials.
const right = (answer) => answer && answer.correct[answer.chosen];
const wrong = (answer) => answer && !answer.correct[answer.chosen];
const differs = (answer) => answer && new Set(answer.predictions).size > 1;
const unread = (answer) => answer && answer.predictions.includes(null);
const FILTERS = {
  "all": () => true,
  "a-right-b-wrong": (a, b) => right(a) && wrong(b),
  "a-wrong-b-right": (a, b) => wrong(a) && right(b),
  "both-wrong": (a, b) => wrong(a) && wrong(b),
  "both-right": (a, b) => right(a) && right(b),
  "differ": (a, b) => differs(a) || differs(b),
  "unparseable": (a, b) => unread(a) || unread(b),
};
// The first trial with the commonest answer; letters of different orders are not the same answer.
function chosen(answer, permuted) {
  const keys = permuted ? answer.correct : answer.predictions;
  const count = (key) => keys.filter((other) => other === key).length;
  return keys.reduce((best, key, i) => (count(key) > count(keys[best]) ? i : best), 0);
}
for (const part of data.parts)
  for (const row of part.rows)
    for (const answer of row.answers) if (answer) answer.chosen = chosen(answer, part.permuted);

const form = find("controls");
const DEFAULTS = { part: "0", a: "", b: "", filter: "all", q: "", page: "1", item: "" };
let state = { ...DEFAULTS };

function readHash() {
  const given = new URLSearchParams(location.hash.slice(1));
  state = Object.fromEntries(
    Object.entries(DEFAULTS).map(([key, value]) => [key, given.get(key) ?? value]),
  );
  complete();
}
// Replace what is not there by what is: a shared link may be of another comparison.
function complete() {
  const names = data.parts.map((part) => part.name);
  if (!names.includes(state.part)) state.part = names[0];
  const models = current().models;
  if (!models.includes(state.a)) state.a = models.includes(data.reference) ? data.reference : models[0];
  if (!models.includes(state.b)) state.b = models.find((name) => name !== state.a) ?? state.a;
  if (!Object.hasOwn(FILTERS, state.filter)) state.filter = "all";
}
const current = () => data.parts.find((part) => part.name === state.part);

function writeHash() {
  const changed = Object.entries(state).filter(([key, value]) => value !== DEFAULTS[key]);
  history.replaceState(null, "", "#" + new URLSearchParams(changed));
}

function matching() {
  const part = current();
  const [a, b] = [part.models.indexOf(state.a), part.models.indexOf(state.b)];
  const sought = state.q.toLowerCase();
  const said = (row) => [row.text, row.gold, ...[a, b].flatMap((i) => row.answers[i]?.predictions ?? [])];
  return part.rows
    .filter((row) => FILTERS[state.filter](row.answers[a], row.answers[b]))
    .filter((row) => !sought || said(row).some((text) => text && text.toLowerCase().includes(sought)))
    .map((row) => ({ ...row, a: row.answers[a], b: row.answers[b] }));
}

function mark(correct) {
  return make("span", { class: correct ? "better" : "worse" }, correct ? "✓ " : "✗ ",
    make("span", { class: "hidden" }, correct ? "right: " : "wrong: "));
}
const given = (prediction) => (prediction === null ? make("em", {}, "not read") : prediction);
function answerCell(answer) {
  if (!answer) return make("td", {}, "not asked");
  const hits = answer.correct.filter(Boolean).length;
  const share = answer.correct.length > 1 ? ` (${hits} of ${answer.correct.length} right)` : "";
  return make("td", { class: "answer" }, mark(right(answer)), given(answer.predictions[answer.chosen]), share);
}

function options(row) {
  const list = row.options.map((text, i) => {
    const letter = String.fromCharCode(65 + i);
    const gold = letter === row.gold;
    return make("li", gold ? { class: "gold" } : {}, `${letter}. ${text}${gold ? " (gold)" : ""}`);
  });
  return list.length ? [make("ul", {}, ...list)] : [];
}
function model(name, answer) {
  const box = make("div", {}, make("h3", {}, name));
  if (!answer) return box.append("not asked"), box;
  const trials = answer.predictions.map((prediction, i) =>
    make("li", {}, `trial ${i + 1}: `, mark(answer.correct[i]), given(prediction)));
  box.append(make("ul", { class: "trials" }, ...trials), make("pre", { tabindex: "0" }, answer.response));
  return box;
}
function detail(row) {
  const box = make("div", {}, make("p", { class: "asked" }, row.text), ...options(row));
  box.append(make("p", {}, "Gold: ", make("strong", {}, row.gold)));
  if (/^https?:\/\//i.test(row.url)) {
    const link = make("a", { rel: "noopener noreferrer", target: "_blank", href: row.url }, row.url);
    box.append(make("p", {}, "Source: ", link));
  }
  const answers = make("div", { class: "answers" }, model(state.a, row.a));
  if (state.b !== state.a) answers.append(model(state.b, row.b));
  box.append(answers, make("p", { class: "quiet" }, "The response is the whole one of the first trial."));
  return make("tr", {}, make("td", { class: "whole", colspan: "5" }, box));
}
function line(row) {
  const open = String(row.item) === state.item;
  const short = row.text.length > 160 ? row.text.slice(0, 160) + "…" : row.text;
  const button = make("button", { type: "button", "aria-expanded": open, "data-item": row.item },
    make("span", { class: "hidden" }, "item "), String(row.item));
  const cells = [make("td", {}, button), make("td", { class: "text" }, short), make("td", { class: "key" }, row.gold)];
  const found = make("tr", open ? { class: "open" } : {}, ...cells, answerCell(row.a), answerCell(row.b));
  return open ? [found, detail(row)] : [found];
}

function show() {
  const part = current();
  const rows = matching();
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  const page = Math.min(Math.max(1, Math.trunc(Number(state.page)) || 1), pages);
  state.page = String(page);
  find("count").textContent = `${whole(rows.length)} of ${whole(part.rows.length)} items`;
  find("page").textContent = `Page ${whole(page)} of ${whole(pages)}`;
  find("previous").disabled = page === 1;
  find("next").disabled = page === pages;
  find("permuted").hidden = !part.permuted;
  const heads = ["item", "text", "gold", `A: ${state.a}`, `B: ${state.b}`];
  const caption = `${part.task}, protocol ${part.protocol}`;
  find("rows").replaceChildren(make("table", {},
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...rows.slice((page - 1) * PAGE, page * PAGE).flatMap(line))));
}
function fill() {
  const choices = (values) => values.map((value) => make("option", { value }, value));
  form.elements.part.replaceChildren(...choices(data.parts.map((part) => part.name)));
  form.elements.a.replaceChildren(...choices(current().models));
  form.elements.b.replaceChildren(...choices(current().models));
  for (const name of ["part", "a", "b", "filter", "q"]) form.elements[name].value = state[name];
}
function change(values) {
  state = { ...state, ...values };
  complete();
  if (values.part) fill();
  show();
  writeHash();
}

function start() {
  document.querySelectorAll("table").forEach(sortable);
  if (!data.parts.length) return;
  find("browser").hidden = false;
  const load = () => {
    readHash();
    fill();
    show();
  };
  load();
  if (location.hash.includes("=")) find("items").scrollIntoView();
  // A link to a section holds no view, and leaves this one as it is.
  window.addEventListener("hashchange", () => location.hash.includes("=") && load());
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) =>
    change({ [event.target.name]: event.target.value, page: "1", item: "" }));
  const turn = (pages) => {
    change({ page: String(Number(state.page) + pages), item: "" });
    find("items").scrollIntoView();
  };
  find("previous").addEventListener("click", () => turn(-1));
  find("next").addEventListener("click", () => turn(1));
  find("rows").addEventListener("click", (event) => {
    const row = event.target.closest("tbody tr");
    const button = row && row.querySelector("button[data-item]");
    if (!button || String(getSelection())) return;
    const item = button.dataset.item;
    change({ item: item === state.item ? "" : item });
    find("rows").querySelector(`button[data-item="${item}"]`).focus();
  });
}
start();
