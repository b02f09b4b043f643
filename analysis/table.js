// Older browsers leave closed what a link leads into.
function open_target() {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const fold = place && place.closest("details");
  if (fold && !fold.open) { fold.open = true; place.scrollIntoView(); }
}
addEventListener("hashchange", open_target);
open_target();

// Says above a table that it has more columns than are seen.
function tell_width(box) { box.previousElementSibling.hidden = box.scrollWidth <= box.clientWidth + 1; }
const boxes = document.querySelectorAll(".scroll");
addEventListener("resize", () => boxes.forEach(tell_width));
boxes.forEach(tell_width);
