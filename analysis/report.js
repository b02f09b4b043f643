// Older browsers leave closed what a link leads into.
function open_target() {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const fold = place && place.closest("details");
  if (fold && !fold.open) { fold.open = true; place.scrollIntoView(); }
}
addEventListener("hashchange", open_target);
open_target();
