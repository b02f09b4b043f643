"use strict";
// All text reaches the page through text nodes, never as markup.
const ROW = 56, AROUND = 8; // height of a row in pixels, as in page.css; rows kept ready above and below
const SAID = { right: "✓ right", wrong: "✗ wrong", partly: "◐ partly", error: "! judge error", open: "… open" };
const at = id => document.getElementById(id);
const samples = JSON.parse(at("samples").textContent);
let shown = samples, place = 0; // what the filters leave, and which of it is on the page

function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children.filter(child => child !== null));
  return made;
}

const number = value => value === null ? "–" : String(Math.round(value * 1000) / 1000);
const verdict = sample => make("span", { class: `tag ${sample.verdict}` }, SAID[sample.verdict]);
const differs = sample => sample.score !== null && sample.score !== sample.rule_score;

// Filters

function haystack(sample) {
  sample.hay ??= [sample.id, sample.question, sample.answer, sample.prompt, sample.response, sample.extraction,
    ...sample.replies.flatMap(reply => [reply.text, reply.error])].join("\n").toLowerCase();
  return sample.hay;
}

function filter(keep) {
  const words = at("words").value.trim().toLowerCase();
  shown = samples.filter(sample =>
    (!at("task").value || sample.task === at("task").value)
    && (!at("verdict").value || sample.verdict === at("verdict").value)
    && (!at("truncated").checked || sample.truncated)
    && (!at("differs").checked || differs(sample))
    && (!words || haystack(sample).includes(words)));
  at("found").textContent = `${shown.length} of ${samples.length} samples`;
  go(Math.max(0, shown.indexOf(keep)));
}

function clear(keep) {
  at("filters").reset();
  filter(keep);
}

// The list: only the rows in sight exist

function drawList() {
  const list = at("list"), first = Math.max(0, Math.floor(list.scrollTop / ROW) - AROUND);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + AROUND);
  at("rows").style.height = `${shown.length * ROW}px`;
  at("rows").replaceChildren(...shown.slice(first, last).map((sample, i) => row(sample, first + i)));
  if (shown.length) list.setAttribute("aria-activedescendant", `row-${place}`);
  else list.removeAttribute("aria-activedescendant");
}

function row(sample, index) {
  const made = make("div", { class: "row", role: "option", id: `row-${index}`, "aria-selected": index === place,
    "aria-posinset": index + 1, "aria-setsize": shown.length },
  make("div", null, verdict(sample), sample.truncated ? make("span", { class: "tag" }, "cut off") : null,
    make("span", { class: "id" }, `${sample.task.replace("kawhi_", "")} ${sample.id}`)),
  make("p", null, sample.question.slice(0, 200)));
  made.style.top = `${index * ROW}px`;
  made.addEventListener("click", () => go(index));
  return made;
}

function intoSight() {
  const list = at("list"), top = place * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
}

// One sample

function go(index) {
  place = Math.max(0, Math.min(index, shown.length - 1));
  const sample = shown[place];
  at("previous").disabled = place === 0;
  at("next").disabled = place >= shown.length - 1;
  at("position").textContent = sample ? `${place + 1} of ${shown.length}` : "";
  at("name").textContent = sample ? `${sample.task} / ${sample.id}` : "No sample matches the filters";
  at("content").replaceChildren(...sample ? content(sample) : []);
  intoSight();
  drawList();
  if (sample) history.replaceState(null, "", address(sample));
  if (at("sample").getBoundingClientRect().top < 0) at("sample").scrollIntoView();
}

function content(sample) {
  const scores = [`rule ${number(sample.rule_score)}`, `score ${number(sample.score)}`, `${sample.tokens} tokens`,
    `finish: ${sample.finish_reason}`];
  if (sample.run) scores.push(`pass ${sample.run}`);
  const texts = make("div", null, ...answer(sample));
  const pictures = sample.images.map((image, i) => picture(image, `Image ${i + 1} of ${sample.images.length}`));
  return [
    make("p", { class: "tags" }, verdict(sample), ...scores.map(score => make("span", { class: "tag" }, score)),
      differs(sample) ? make("span", { class: "tag partly" }, "rule and verdict differ") : null),
    make("h3", null, "Question"), said(sample.question),
    pictures.length ? make("div", { class: "beside" }, make("div", { class: "pictures" }, ...pictures), texts)
      : make("div", { class: "beside alone" }, texts),
    ...judge(sample), ...parts(sample),
    folded("Prompt as it was sent", sample.prompt),
    ...sample.facts ? [folded("Facts", sample.facts)] : [],
  ];
}

const said = text => text ? make("p", { class: "said", dir: "auto" }, text) : make("p", { class: "none" }, "none");
const folded = (title, text) => make("details", null, make("summary", null, title), make("pre", { dir: "auto" }, text));

function picture(image, name) {
  if (image === null) return make("p", { class: "note" }, `${name} was not kept or cannot be decoded.`);
  return make("figure", null, make("img", { alt: name, src: at(`image-${image}`).textContent }));
}

function answer(sample) {
  const extraction = sample.extraction || sample.rule_extraction, marked = lastOf(sample.response, extraction);
  const hint = extraction && !marked ? make("p", { class: "hint" }, "Not in the response word for word.") : null;
  const response = sample.response.trim() ? paragraphs(sample.response, marked)
    : [make("p", { class: "none" }, "The response is empty.")];
  return [
    make("h3", null, "Expected answer"), said(sample.answer),
    make("h3", null, "Extracted from the response"), said(extraction), ...hint ? [hint] : [],
    make("h3", null, "Response"), make("div", { class: "response", dir: "auto" }, ...response),
    ...sample.truncated ? [make("p", { class: "note" }, `Cut off after ${sample.tokens} tokens.`)] : [],
  ];
}

// [start, end] of the last mention that is not a part of a longer word; null when there is none
function lastOf(text, wanted) {
  if (!wanted) return null;
  const boxed = text.lastIndexOf(`\\boxed{${wanted}}`);
  if (boxed >= 0) return [boxed + 7, boxed + 7 + wanted.length];
  const inWord = character => /[\p{L}\p{N}]/u.test(character || " ");
  for (let end = text.length; end >= 0;) {
    const start = text.lastIndexOf(wanted, end);
    if (start < 0) return null;
    const after = start + wanted.length;
    if (!(inWord(text[start - 1]) && inWord(wanted[0])) && !(inWord(text[after]) && inWord(wanted.at(-1))))
      return [start, after];
    end = start - 1;
  }
  return null;
}

function paragraphs(text, marked) {
  const made = [];
  for (let start = 0; start < text.length;) {
    const gap = text.indexOf("\n\n", start), end = gap < 0 ? text.length : gap;
    const [from, to] = (marked || [end, end]).map(edge => Math.min(Math.max(edge, start), end));
    const inside = text.slice(from, to);
    if (text.slice(start, end).trim())
      made.push(make("p", null, text.slice(start, from), inside ? make("mark", null, inside) : null, text.slice(to, end)));
    for (start = end; text[start] === "\n";) start++;
  }
  return made;
}

function judge(sample) {
  if (!sample.replies.length) return [];
  return [make("h3", null, "Judge"), ...sample.replies.map(reply => make("div", { class: "reply" },
    make("p", { class: "kicker" }, `${reply.question} · ${reply.attempts} ${reply.attempts === 1 ? "request" : "requests"}`
      + ` · judge ${reply.judge}`),
    reply.error ? make("p", { class: "note" }, reply.error) : null,
    reply.text ? make("pre", { dir: "auto" }, reply.text) : make("p", { class: "none" }, "no reply")))];
}

function parts(sample) {
  const names = [...new Set([...Object.keys(sample.rule_parts), ...Object.keys(sample.parts)])];
  if (!names.length) return [];
  const rows = names.map(name => make("tr", null, make("th", { scope: "row" }, name),
    make("td", null, number(sample.rule_parts[name] ?? null)), make("td", null, number(sample.parts[name] ?? null))));
  const head = ["part", "by rule", "final"].map(title => make("th", { scope: "col" }, title));
  return [make("h3", null, "Parts"), make("table", { class: "parts" },
    make("thead", null, make("tr", null, ...head)), make("tbody", null, ...rows))];
}

// Addresses: #task/id

const address = sample => `#${sample.task}/${encodeURIComponent(sample.id)}`;

function fromAddress() {
  const slash = location.hash.indexOf("/");
  if (slash < 0) return null;
  const task = location.hash.slice(1, slash), rest = location.hash.slice(slash + 1);
  let id = rest;
  try { id = decodeURIComponent(rest); } catch { /* an id with a % that nobody encoded stands for itself */ }
  return samples.find(sample => sample.task === task && sample.id === id) || null;
}

function follow() {
  const wanted = fromAddress();
  if (!wanted) return;
  if (shown.includes(wanted)) go(shown.indexOf(wanted));
  else clear(wanted);
}

// Hands

const STEPS = { j: 1, ArrowRight: 1, ArrowDown: 1, k: -1, ArrowLeft: -1, ArrowUp: -1 };
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && event.target === at("words")) at("words").blur();
  if (event.target.matches("input, select")) return;
  if (event.key === "/") { event.preventDefault(); at("words").focus(); }
  const step = STEPS[event.key];
  if (!step || event.target.matches(".scroll")) return;
  event.preventDefault();
  go(place + step);
});
let waiting;
at("words").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => filter(shown[place]), 150);
});
for (const id of ["task", "verdict", "truncated", "differs"])
  at(id).addEventListener("change", () => filter(shown[place]));
at("filters").addEventListener("submit", event => event.preventDefault());
at("clear").addEventListener("click", () => clear(shown[place]));
at("previous").addEventListener("click", () => go(place - 1));
at("next").addEventListener("click", () => go(place + 1));
at("list").addEventListener("scroll", drawList);
window.addEventListener("resize", drawList);
window.addEventListener("hashchange", follow);
filter(fromAddress());
