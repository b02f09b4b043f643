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
