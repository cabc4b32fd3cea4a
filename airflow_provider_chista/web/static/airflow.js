// The frame around the page is Airflow's UI, of the same origin: its light or dark, and its addresses.

/** Airflow's document; null where the page stands alone. */
const outside = (() => {
  try {
    return window.parent === window ? null : window.parent.document;
  } catch {
    return null;
  }
})();

/** Follow Airflow's choice of light or dark, and the system's where the page stands alone. */
export function followTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const root = outside?.documentElement;
    const dark = root ? root.classList.contains("dark") : system.matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  paint();
  system.addEventListener("change", paint);
  if (outside) new MutationObserver(paint).observe(outside.documentElement, { attributeFilter: ["class"] });
}

/** Path of a run below Airflow's base address. */
export const runPath = (dagId, runId) => `dags/${encodeURIComponent(dagId)}/runs/${encodeURIComponent(runId)}`;

/** Address of one of Airflow's pages, which leads there in a window of its own too. */
export const address = (path) => `../${path}`;

/** Show one of Airflow's pages. The frame may not leave itself, so the page around it is asked to go there. */
export function go(path) {
  if (!outside) {
    location.href = address(path);
    return;
  }
  const base = new URL(outside.baseURI).pathname;
  window.parent.history.pushState({}, "", base + path);
  window.parent.dispatchEvent(new PopStateEvent("popstate"));
}
