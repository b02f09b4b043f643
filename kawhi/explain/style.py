"""Style sheet and script of the page; inside the page, so that it is one file that needs no network."""

from kawhi.style.css import BASE

CSS = (
    BASE
    + """
h2 + .answer { margin-top: 10px; }
svg + header { margin-top: 0; }
main, .pair, .two, .halves { display: grid; gap: 18px; align-items: start; }
main { grid-template-columns: minmax(0, 13fr) minmax(0, 10fr); }
main.plain { grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); }
.pictures { position: sticky; top: 18px; }
.two { grid-template-columns: repeat(2, minmax(0, 1fr)); align-items: stretch; }
.pair { grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); align-items: stretch; }
.halves { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px 40px; margin-top: 6px; }
figure { margin: 0; min-width: 0; }
h2 + figure { margin-top: 8px; }
figure > svg { display: block; width: 100%; height: auto; max-height: 66vh; border: 1px solid var(--line); }
.grey { filter: grayscale(1) opacity(.55); }
.heat { mix-blend-mode: multiply; image-rendering: pixelated; }
.heated { isolation: isolate; background: #FFF; }
.border { fill: none; stroke: var(--blue); stroke-width: 2.5px; vector-effect: non-scaling-stroke;
  stroke-linecap: square; }
.grid { fill: none; stroke: #8A8A8A; stroke-width: .6px; stroke-dasharray: 1 2.5; vector-effect: non-scaling-stroke; }
.key { fill: var(--blue); fill-opacity: .2; }
.dot { stroke: var(--vermilion); stroke-width: .26; stroke-linecap: round; fill: none; }
.cross { stroke: var(--grey); stroke-width: 1.4px; vector-effect: non-scaling-stroke; fill: none; }
.legend { list-style: none; margin: 10px 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: 4px 14px; }
.legend li { display: flex; align-items: center; gap: 6px; }
.legend svg { flex: none; }
.off .overlay { visibility: hidden; }
.off .grey { filter: none; }
.bar { height: 10px; border: 1px solid var(--line); border-radius: 2px; margin-top: 12px; }
.ends { display: flex; justify-content: space-between; font-size: .8rem; color: var(--grey);
  font-variant-numeric: tabular-nums; }
.readout { min-height: 3em; margin: 0; }
.readout b { font-weight: 650; }
.answer + .answer { border-top: 1px solid var(--line); margin-top: 22px; padding-top: 18px; }
.head { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: baseline; gap: 2px 16px;
  margin-bottom: 8px; }
.head .numbers { font-size: .86rem; }
.paragraph { display: grid; grid-template-columns: 1.5em minmax(0, 1fr) auto; gap: 2px 10px; border-radius: 6px;
  border: 1px solid #0002; margin-bottom: 6px; padding: 9px 12px; cursor: pointer; scroll-margin: 20px; }
.paragraph .text { white-space: pre-wrap; }
.paragraph .no { color: #0009; font-variant-numeric: tabular-nums; }
.paragraph .numbers { font-size: .82rem; text-align: right; color: var(--ink); white-space: nowrap;
  font-variant-numeric: tabular-nums; line-height: 1.4; }
.paragraph .numbers b { font-size: 1.02rem; }
.paragraph.shown, .map.shown { outline: 2px solid var(--blue); outline-offset: 1px; }
.map.shown { outline-offset: 5px; }
.paragraph[aria-pressed=true] .no { color: var(--blue); font-weight: 700; }
.shades { display: flex; align-items: center; gap: 8px; font-size: .8rem; color: var(--grey); margin-top: 10px;
  font-variant-numeric: tabular-nums; }
.shades .bar { flex: 0 1 180px; margin: 0; }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(146px, 1fr)); gap: 18px 16px; margin-top: 12px; }
.map { cursor: pointer; border-radius: 3px; }
.map figcaption { margin-top: 6px; font-size: .82rem; font-variant-numeric: tabular-nums; }
.map .text { display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden;
  color: var(--ink); }
.sum { font-weight: 650; background: #F0F0EC; }
th b { color: var(--ink); }
td.shown { box-shadow: inset 0 0 0 1.5px var(--blue); }
.chart { max-width: 460px; margin-top: 10px; }
.chart svg { border: 0; overflow: visible; }
.chart text { font-size: 11px; fill: var(--grey); }
.verdict { font-weight: 650; }
.wrong { display: flex; gap: 12px; align-items: end; margin-top: 14px; }
.map svg { max-height: 220px; }
.wrong img { max-width: 110px; max-height: 84px; flex: none; border: 1px solid var(--line); }
@media (max-width: 1000px) {
  body { padding: 20px 14px 40px; }
  section { padding: 14px; }
  main, main.plain, .pair, .halves { grid-template-columns: minmax(0, 1fr); }
  .pictures { position: static; }
}
@media (max-width: 620px) {
  h1 { font-size: 1.35rem; }
  table { font-size: .8rem; }
  td, thead th + th { padding: 5px 5px; }
  th { padding-right: 6px; }
  .pictures { display: contents; }
  .heatbox { position: sticky; top: 0; z-index: 1; padding: 10px 14px; box-shadow: 0 4px 10px #0002; }
  .heatbox svg { max-height: 30vh; }
  .heatbox label { margin-top: 4px; }
  .heatbox .readout { min-height: 0; }
  .heatbox .readout br { display: none; }
  .paragraph { scroll-margin-top: 52vh; }
  .maps { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { margin-bottom: 8px; }
}
@media print {
  :root { background: #FFF; font-size: 12px; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  body { padding: 0; }
  section { border: 0; padding: 8px 0; }
  .pictures { position: static; }
  main, main.plain, .pair, .halves { grid-template-columns: minmax(0, 1fr); }
  figure, .paragraph, tr { break-inside: avoid; }
  label, .answers > .hint { display: none; }
  .scroll { overflow: visible; }
}
"""
)

SCRIPT = """
const large = document.getElementById("large-heat"), readout = document.getElementById("readout");
let pinned = document.querySelector(".paragraph.shown");
function show(id) {
  const paragraph = document.getElementById(id);
  if (!paragraph || !large) return;
  large.setAttribute("href", document.getElementById("heat-" + id).getAttribute("href"));
  readout.replaceChildren(...paragraph.querySelector("template").content.cloneNode(true).childNodes);
  for (const old of document.querySelectorAll(".shown")) old.classList.remove("shown");
  for (const own of document.querySelectorAll(`[data-of="${id}"]`)) own.classList.add("shown");
}
function pin(id) {
  const paragraph = document.getElementById(id);
  const again = paragraph.getAttribute("aria-pressed") === "true";
  for (const old of document.querySelectorAll("[aria-pressed=true]")) old.setAttribute("aria-pressed", "false");
  paragraph.setAttribute("aria-pressed", String(!again));
  pinned = paragraph;
  show(id);
}
const of = event => event.target.closest && event.target.closest("[data-of]");
// Not pointerover: that also fires when the page scrolls under a mouse that lies still, to follow the keyboard.
document.addEventListener("pointermove", event => { const own = of(event); if (own) show(own.dataset.of); });
document.addEventListener("pointerout", event => {
  if (!of(event)) return;
  const rest = document.activeElement.closest(".paragraph[data-of]") || pinned;
  if (rest) show(rest.id);
});
document.addEventListener("focusin", event => { const own = of(event); if (own) show(own.dataset.of); });
document.addEventListener("click", event => { const own = of(event); if (own) pin(own.dataset.of); });
document.addEventListener("keydown", event => {
  const own = of(event);
  if (!own || !own.matches(".paragraph")) return;
  const all = [...document.querySelectorAll(".paragraph")], at = all.indexOf(own);
  const to = { ArrowDown: all[at + 1], ArrowUp: all[at - 1] }[event.key];
  if (to) { event.preventDefault(); to.focus(); }
  if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pin(own.id); }
});
for (const box of document.querySelectorAll("[data-toggles]"))
  box.addEventListener("change", () => box.closest("figure").classList.toggle("off", !box.checked));
"""
