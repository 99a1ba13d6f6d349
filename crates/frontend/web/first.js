// Before anything is painted: dark or light, as the visitor's system has it; and somebody who says so if the rest cannot be had.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => {
  document.documentElement.dataset.bsTheme = dark.matches ? "dark" : "light";
};
dark.addEventListener("change", follow);
follow();

// As while one version of the frontend takes the place of another. Errors of what a page links do not bubble.
addEventListener("error", (event) => {
  const isOurs = event.target instanceof HTMLScriptElement || event.target instanceof HTMLLinkElement || /\/assets\//.test(event.filename ?? "");
  const state = document.getElementById("state");
  if (!isOurs || !state) return;
  state.className = "alert alert-danger py-2";
  state.textContent = "A part of this page could not be had. Reload it.";
}, { capture: true });
