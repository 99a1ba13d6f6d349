// Runs before the browser paints: follows the color scheme, and reports parts of the page that are missing.
const dark = matchMedia("(prefers-color-scheme: dark)");
const followScheme = () => {
  document.documentElement.dataset.bsTheme = dark.matches ? "dark" : "light";
};
dark.addEventListener("change", followScheme);
followScheme();

// A part is missing, for example, while a new version of the frontend replaces an old one. These errors do not bubble.
addEventListener("error", (event) => {
  const isOurs = event.target instanceof HTMLScriptElement || event.target instanceof HTMLLinkElement || /\/assets\//.test(event.filename ?? "");
  const state = document.getElementById("state");
  if (!isOurs || !state) return;
  state.className = "alert alert-danger py-2";
  state.textContent = "A part of this page could not be loaded. Reload it.";
}, { capture: true });
