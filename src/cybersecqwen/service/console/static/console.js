// The console without this script is whole; with it there are keys, drag and drop, a search while
// typing, and counts that refresh. It reads the page's own attributes (data-key, data-catalogue, …)
// and asks the service for nothing but pages, parts of pages and the progress of imports.
"use strict";

const $ = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const say = (text) => { const said = $("#said"); if (said) said.textContent = text; };

// --- keys: each control names its own -----------------------------------------------------------

const PLACES = { q: "/queue", a: "/ask", i: "/imports", d: "/dashboard", t: "/audit-trail" };
const isField = (node) => node.matches("input:not([type=checkbox]):not([type=radio]), select, textarea");
const keysAreOff = () => localStorage.getItem("keys") === "off";
let going = false; // "g" was pressed, and a letter for the place follows

function moveRow(step) {
  const links = all(".row-link");
  if (!links.length) return false;
  const row = document.activeElement.closest("tr");
  const at = row ? links.indexOf($(".row-link", row)) : step > 0 ? -1 : links.length;
  const link = links[Math.min(Math.max(at + step, 0), links.length - 1)];
  link.focus();
  link.closest("tr").scrollIntoView({ block: "nearest" });
  return true;
}

function tickRow() {
  const row = document.activeElement.closest("tr");
  const box = row && $(".select input", row);
  if (!box) return false;
  box.click();
  return true;
}

function press(key) {
  if (key === "?") { $("#keys").showModal(); return true; }
  if (key === "j" || key === "k") return moveRow(key === "j" ? 1 : -1);
  if (key === "x") return tickRow();
  const control = all(`[data-key="${CSS.escape(key)}"]`).find((one) => !one.disabled);
  if (!control) return false;
  if (isField(control)) { control.focus(); control.scrollIntoView({ block: "nearest" }); }
  else control.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  const node = event.target;
  if (event.key === "Escape" && isField(node)) { node.blur(); return; }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && node.matches("textarea")) {
    const button = node.id === "note" ? $("#comment") : $("button.main", node.form);
    if (button) { event.preventDefault(); button.click(); }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Enter" && !event.shiftKey && node.dataset.send !== undefined && node.rows <= 2) {
    event.preventDefault(); node.form.requestSubmit(); return;
  }
  if (isField(node) || keysAreOff() || $("dialog[open]")) return;
  if (going) {
    going = false;
    if (PLACES[event.key]) { event.preventDefault(); location.href = PLACES[event.key]; return; }
  }
  if (event.key === "g") { going = true; return; }
  if (press(event.key)) event.preventDefault();
});

const off = $("#keys-off");
if (off) {
  off.checked = keysAreOff();
  off.addEventListener("change", () => localStorage.setItem("keys", off.checked ? "off" : "on"));
}

// --- forms --------------------------------------------------------------------------------------

// A form is sent once: a second press of a key would judge the next record unseen.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "dialog") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => delete form.dataset.sent));
all("select[data-submit]").forEach((select) => select.addEventListener("change", () => select.form.requestSubmit()));

const every = $("#every");
if (every) {
  const boxes = all("tbody .select input");
  const count = () => {
    const number = boxes.filter((box) => box.checked).length;
    $("#chosen") && ($("#chosen").textContent = number ? `With the ${number} selected` : "With those selected");
    every.checked = number === boxes.length;
    every.indeterminate = number > 0 && number < boxes.length;
  };
  every.hidden = false;
  every.addEventListener("change", () => { boxes.forEach((box) => { box.checked = every.checked; }); count(); });
  boxes.forEach((box) => box.addEventListener("change", count));
  count();
}

// --- search of the catalogue while typing -------------------------------------------------------

all("[data-catalogue]").forEach((field) => {
  const input = $("input:not([type=radio])", field), hits = $(".hits", field);
  let wait = 0, asked = 0;
  const labels = () => all("label", hits);
  const active = () => $("label.active", hits);

  const activate = (label) => {
    labels().forEach((one) => one.classList.toggle("active", one === label));
    if (label) { label.scrollIntoView({ block: "nearest" }); say(label.textContent.trim()); }
  };
  const choose = (label) => {
    input.value = $("input", label).value;
    hits.replaceChildren();
    say(`${label.textContent.trim()} chosen`);
    const button = $("#correct") || $("button:not([hidden])", field.parentElement);
    button.focus();
  };
  const search = async () => {
    const mine = ++asked;
    const answer = await fetch(`/catalogue?text=${encodeURIComponent(input.value)}`);
    if (!answer.ok || mine !== asked) return;
    const part = new DOMParser().parseFromString(await answer.text(), "text/html");
    hits.replaceChildren(...part.body.childNodes);
    const number = labels().length;
    if (number) activate(labels()[0]);
    else say(input.value ? "No weakness fits" : "");
  };
  input.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(search, 90); });
  input.addEventListener("keydown", (event) => {
    const list = labels(), at = list.indexOf(active());
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      activate(list[Math.min(Math.max(at + (event.key === "ArrowDown" ? 1 : -1), 0), list.length - 1)]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (active()) choose(active());
    }
  });
  hits.addEventListener("change", (event) => choose(event.target.closest("label")));
});

// --- imports: drag and drop, upload, progress ---------------------------------------------------

const drop = $("#drop");
if (drop) {
  const input = $("#file", drop), bar = $("#upload", drop);
  const send = () => {
    const request = new XMLHttpRequest();
    bar.hidden = false;
    request.upload.addEventListener("progress", (event) => { bar.value = event.total ? event.loaded / event.total : 0; });
    request.addEventListener("load", () => {
      if (request.status < 400) location.href = "/imports";
      else { document.open(); document.write(request.responseText); document.close(); }
    });
    request.addEventListener("error", () => { bar.hidden = true; say("The upload failed: the service does not answer."); });
    request.open("POST", drop.action);
    request.send(new FormData(drop));
    say("Uploading");
  };
  let depth = 0;
  const over = (step) => { depth += step; drop.classList.toggle("over", depth > 0); };
  document.addEventListener("dragenter", (event) => { event.preventDefault(); over(1); });
  document.addEventListener("dragleave", () => over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault(); depth = 0; over(0);
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    send();
  });
  drop.addEventListener("submit", (event) => { event.preventDefault(); send(); });
}

const running = $("#imports[data-running]");
if (running) {
  const refresh = async () => {
    const answer = await fetch("/imports/progress");
    if (!answer.ok) return;
    const rows = await answer.json();
    let left = 0;
    for (const row of all("[data-import]", running)) {
      const counts = rows[row.dataset.import];
      if (!counts) continue;
      for (const cell of all("[data-count]", row)) {
        const value = counts[cell.dataset.count];
        const text = typeof value === "number" ? value.toLocaleString("en") : value;
        if (cell.textContent !== text && cell.dataset.count === "state") say(`${$("a", row).textContent}: ${text}`);
        cell.textContent = text;
        if (cell.dataset.count === "state") cell.className = `tag import-${value}`;
      }
      if (counts.state === "running") left += 1;
    }
    if (left) setTimeout(refresh, 700);
  };
  setTimeout(refresh, 400);
}

const newest = $("#newest, #result");
if (newest) newest.scrollIntoView({ block: "nearest" });
const help = $('.top a[href="/help"]');
if (help) help.setAttribute("aria-keyshortcuts", "?");
